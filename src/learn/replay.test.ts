/** What profiles would have made of a recording, and how much of them it used. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network, SecurityProfile } from "../api/types.ts";
import { ownerName } from "../flow/owner.ts";
import type { AgentEvent, VerdictEvent } from "../flow/record.ts";
import { processOf, profileOf } from "../policy/testing/profiles.ts";
import { Random } from "../policy/testing/random.ts";
import { selectorLabels } from "./owner.ts";
import { PodAddresses } from "./pod-addresses.ts";
import { type RecordedWorkload, RecordedWorkloads } from "./recorded-workloads.ts";
import { askedResolver, replay } from "./replay.ts";
import { flow, question, RESOLVER, recordingOf, visit } from "./testing/records.ts";
import { narrowed, usage } from "./usage.ts";

const CIRCUMSTANCES = { resolvers: [RESOLVER], searchDomains: [] };
const NOTHING_ELSE = { resolvers: [RESOLVER], pods: new PodAddresses() };

function recorded(records: readonly AgentEvent[]): RecordedWorkload[] {
  const workloads = new RecordedWorkloads();
  for (const record of records) workloads.add(record);
  return workloads.end();
}

function replayed(network: Network, records: readonly VerdictEvent[]): string[] {
  const [workload] = recorded(records);
  const profile = profileOf("web", { processes: [processOf("/bin/app", network)] });
  const { replayed } = replay([profile], workload as RecordedWorkload, CIRCUMSTANCES, new PodAddresses());
  return replayed.map(({ outcome, finding }) => `${outcome} ${finding}`).sort();
}

const WEB: Network = {
  egress: {
    fqdns: ["example.com"],
    peers: ["resolver"],
    l4: {
      protocolPorts: [
        { protocol: "udp", port: 53 },
        { protocol: "tcp", port: 443 },
      ],
    },
  },
};

test("what was allowed would be allowed, or refused, with the reason; and what was not may be", () => {
  const records = [...visit("example.com", {}), ...visit("example.org", {}), flow({ port: 80, peer: "203.0.113.9" })];
  assert.deepEqual(replayed(WEB, records), [
    ...["allowed Allowed", "allowed Allowed", "refused DnsName", "refused DnsName", "refused Peer"],
  ]);
  const alerted = flow({ name: "example.com", verdict: "alerted" });
  assert.deepEqual(replayed(WEB, [alerted, flow({ process: { path: "/bin/sh" }, verdict: "dropped" })]), [
    ...["admitted Allowed", "still-refused BinaryUnknown"],
  ]);
});

test("what led to a process, and its user, are not in records: rules that ask for them leave it undecided", () => {
  for (const condition of [{ ancestors: ["/usr/sbin/backup"] }, { notAncestors: ["/bin/sh"] }, { users: [100] }]) {
    const [workload] = recorded(visit("example.com", {}));
    const profile = profileOf("web", { processes: [processOf("/bin/app", WEB, condition)] });
    const { replayed } = replay([profile], workload as RecordedWorkload, CIRCUMSTANCES, new PodAddresses());
    assert.deepEqual([...new Set(replayed.map(({ outcome }) => outcome))], ["undecided"], JSON.stringify(condition));
  }
});

test("what records do not tell is undecided: applications, and addresses of pods and Services", () => {
  const spoken: Network = {
    egress: { cidr4: ["203.0.113.0/24"], l4: { protocols: ["tcp"] }, l7: { protocols: ["tls"] } },
  };
  assert.deepEqual(replayed(spoken, [flow({})]), ["undecided undecided"]);
  assert.deepEqual(replayed(spoken, [flow({ application: "http" })]), ["refused Application"]);
  const pods: Network = {
    egress: { pods: [{ podSelector: {} }], l4: { protocolPorts: [{ protocol: "tcp", port: 443 }] } },
  };
  assert.deepEqual(replayed(pods, [flow({}), flow({ port: 80 })]), ["refused Port", "undecided undecided"]);
});

test("a workload that no profile selects is not judged", () => {
  const [workload] = recorded([flow({ labels: { app: "other" } })]);
  const { selected, replayed } = replay(
    [profileOf("web", {})],
    workload as RecordedWorkload,
    CIRCUMSTANCES,
    new PodAddresses(),
  );
  assert.deepEqual([selected, replayed], [false, []]);
});

test("a packet that no rule is about is not replayed", () => {
  const malformed = { ...flow({ verdict: "dropped" }), reason: "Malformed" as const };
  assert.deepEqual(replayed(WEB, [malformed]), []);
});

test("the resolver is the address that most questions went to", () => {
  const records = [question("a.example"), question("b.example"), question("a.example", { peer: "8.8.8.8" }), flow({})];
  assert.equal(askedResolver(recordingOf(records).observations()), RESOLVER);
  assert.equal(askedResolver(recordingOf([flow({})]).observations()), null);
});

test("pods are replicas of their owner, and lost records may have been of every workload", () => {
  const pod = (name: string, labels: Record<string, string>) => ({ name, namespace: "default", labels });
  const owners = [
    pod("web-6d4cf56db6-x7p2k", { app: "web", "pod-template-hash": "6d4cf56db6" }),
    pod("db-0", { app: "db", "statefulset.kubernetes.io/pod-name": "db-0", "controller-revision-hash": "db-1" }),
    pod("agent-x7p2k", { app: "agent", "controller-revision-hash": "1" }),
    pod("report-29384756-x7p2k", { "batch.kubernetes.io/job-name": "report-29384756" }),
    pod("bare", { app: "bare" }),
  ];
  assert.deepEqual(owners.map(ownerName), ["web", "db", "agent", "report", "bare"]);
  const replicas = ["web-6d4cf56db6-aaaaa", "web-6d4cf56db6-bbbbb"].map((replica) =>
    flow({ replica, labels: { app: "web", tier: replica, "pod-template-hash": "6d4cf56db6" } }),
  );
  const lost: AgentEvent = { time: "2026-01-02T03:09:00.000Z", type: "lost", where: "kernel", count: 5 };
  const workloads = recorded([lost, ...replicas, flow({ replica: "other" })]);
  assert.deepEqual(
    workloads.map(({ name, recording }) => [name, recording.coverage().replicas.length, recording.coverage().lost]),
    [
      ["other", 1, 5],
      ["web", 2, 5],
    ],
  );
  assert.deepEqual(selectorLabels(workloads[1]?.recording.labels() ?? []), { app: "web" });
});

test("rights are used by what matches them; the profile is narrowed to those", () => {
  const wide: Network = {
    egress: {
      fqdns: ["example.com", "*.example.org"],
      peers: ["resolver"],
      cidr4: ["203.0.113.0/24", "172.16.0.0/12"],
      l4: {
        protocols: ["icmp"],
        protocolPorts: [
          { protocol: "tcp", port: 400, endPort: 500 },
          { protocol: "udp", port: 53 },
        ],
      },
    },
    ingress: { cidr4: ["0.0.0.0/0"], l4: { protocols: ["tcp"] } },
  };
  const profile = profileOf("web", { processes: [processOf("/bin/app", wide), processOf("/bin/idle", wide)] });
  const { recording } = recorded([...visit("example.com", { peer: "192.0.2.1" }), flow({})])[0] as RecordedWorkload;
  const processes = usage(profile, recording.observations(), NOTHING_ELSE);
  const used = processes[0]?.values.filter(({ evidence }) => evidence !== null).map(({ text }) => text);
  assert.deepEqual(used, ["example.com", "resolver", "203.0.113.0/24", "400-500/tcp", "53/udp"]);
  const [entry, ...others] = narrowed(profile, processes).spec.processes ?? [];
  assert.deepEqual(others, []);
  assert.deepEqual(entry?.network, {
    egress: {
      ...{ fqdns: ["example.com"], peers: ["resolver"], cidr4: ["203.0.113.0/24"] },
      l4: {
        protocolPorts: [
          { protocol: "tcp", port: 400, endPort: 500 },
          { protocol: "udp", port: 53 },
        ],
      },
    },
  });
});

test("a profile that loses its last name does not let every name be asked for", () => {
  const network: Network = {
    egress: { fqdns: ["example.com"], cidr4: ["203.0.113.0/24"], l4: { protocols: ["tcp"] } },
  };
  const profile = profileOf("web", { processes: [processOf("/bin/app", network)] });
  const narrow = narrowed(
    profile,
    usage(profile, recordingOf([flow({})]).observations(), { resolvers: [], pods: new PodAddresses() }),
  );
  assert.deepEqual(narrow.spec.processes?.[0]?.network?.egress?.l7, { dns: [] });
});

/** A profile that allows much more than what is recorded. */
function randomProfile(random: Random): SecurityProfile {
  const names = ["example.com", "*.example.com", "api.example.com", "*.example.org"];
  const network: Network = {
    egress: {
      fqdns: random.shuffled(names).slice(0, 1 + random.below(4)),
      peers: ["resolver"],
      cidr4: random.shuffled(["203.0.113.0/24", "203.0.113.5/32", "198.51.100.0/24"]).slice(0, 1 + random.below(3)),
      l4: {
        protocolPorts: [
          { protocol: "udp", port: 53 },
          { protocol: "tcp", port: 1, endPort: 1000 },
          { protocol: "tcp", port: 443 },
        ],
      },
      ...(random.chance(0.5) ? { l7: { dns: names } } : {}),
    },
    ingress: { cidr4: ["0.0.0.0/0"], l4: { protocols: ["tcp", "udp"] } },
  };
  return profileOf("web", { processes: [processOf("/bin/app", network), processOf("/bin/other", network)] });
}

test("a narrowed profile allows all that was recorded and that the profile allowed, and nothing that it did not", () => {
  let narrower = 0;
  for (let seed = 0; seed < 100; seed++) {
    const random = new Random(seed);
    const record = () =>
      random.pick([
        () => visit(random.pick(["example.com", "api.example.com", "www.example.org"]), { peer: "192.0.2.7" }),
        () => [
          flow({
            peer: random.pick(["203.0.113.5", "203.0.113.9", "198.51.100.1"]),
            port: random.pick([80, 443, 8080]),
          }),
        ],
        () => [flow({ direction: "ingress", port: 8080 })],
        () => [question("txt.example.com")],
      ])();
    const workload = recorded([flow({}), ...random.list(12, record).flat()])[0] as RecordedWorkload;
    const profile = randomProfile(random);
    const narrow = narrowed(profile, usage(profile, workload.recording.observations(), NOTHING_ELSE));
    const outcomes = [profile, narrow].map((one) =>
      replay([one], workload, CIRCUMSTANCES, new PodAddresses()).replayed.map(({ outcome }) => outcome),
    );
    assert.deepEqual(outcomes[1], outcomes[0], `seed ${seed}`);
    if (JSON.stringify(narrow) !== JSON.stringify(profile)) narrower += 1;
  }
  assert.ok(narrower > 50);
});
