/** What is learned from a recording, case by case: peers in their most stable form, what is left out, what is proposed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules } from "../api/types.ts";
import type { VerdictEvent } from "../flow/record.ts";
import { type LearnedProfile, type LearnOptions, learn } from "./learn.ts";
import { flow, question, RESOLVER, recordingOf, visit } from "./testing/records.ts";

const OPTIONS: LearnOptions = {
  ...{ name: "web", namespace: "default", labels: { app: "web" }, include: new Set<string>() },
  ...{ resolvers: [RESOLVER], searchDomains: ["corp.example"], openPorts: [], generalize: new Set<never>() },
  podAt: () => null,
};

const learned = (records: readonly VerdictEvent[], options: Partial<LearnOptions> = {}) =>
  learn(recordingOf(records), { ...OPTIONS, ...options });
const entries = ({ profile }: LearnedProfile) => profile.spec.processes ?? [];
const egress = (result: LearnedProfile): EgressRules => entries(result)[0]?.network?.egress ?? {};
const left = ({ leftOut }: LearnedProfile) => leftOut.map(({ reason, path }) => `${path} ${reason}`);

test("a peer is its name, the resolver is the resolver, and else an address", () => {
  const records = [
    ...visit("db.example.com", { peer: "192.0.2.1", port: 5432 }),
    flow({ peer: "2001:db8::1", port: 443 }),
    flow({ proto: "icmp", peer: "203.0.113.5" }),
  ];
  assert.deepEqual(egress(learned(records)), {
    ...{ fqdns: ["db.example.com"], peers: ["resolver"], cidr4: ["203.0.113.5/32"], cidr6: ["2001:db8::1/128"] },
    l4: {
      protocols: ["icmp"],
      protocolPorts: [
        { protocol: "tcp", port: 443 },
        { protocol: "tcp", port: 5432 },
        { protocol: "udp", port: 53 },
      ],
    },
  });
});

test("an address of several names counts for all of them that were asked for", () => {
  const recording = recordingOf([...visit("a.example.com", { peer: "192.0.2.1" }), question("b.example.com")]);
  recording.know("/bin/app", "192.0.2.1", ["a.example.com", "B.example.com", "never-asked.example.com"]);
  recording.know("/bin/other", "192.0.2.1", ["c.example.com"]);
  const rules = egress(learn(recording, OPTIONS));
  assert.deepEqual([rules.fqdns, rules.l7], [["a.example.com", "b.example.com"], undefined]);
});

test("a resolver that is not the workload's own is an address", () => {
  const rules = egress(learned([question("example.com", { peer: "8.8.8.8" })]));
  assert.deepEqual([rules.peers, rules.cidr4, rules.l7?.dns], [undefined, ["8.8.8.8/32"], ["example.com"]]);
});

test("names that are only asked for are listed as such; what a resolver makes of a listed name is not", () => {
  const searched = ["api.example.com.corp.example", "api.example.com"].map((name) => question(name));
  const rules = egress(learned([...searched, ...visit("api.example.com", {}), question("txt.example.com")]));
  assert.deepEqual(rules.fqdns, ["api.example.com"]);
  assert.deepEqual(rules.l7?.dns, ["api.example.com", "txt.example.com"]);
  const connected = egress(learned([...searched, ...visit("api.example.com", {})]));
  assert.equal(connected.l7?.dns, undefined, "the names that may be connected to may be asked for");
});

test("an update may be sent for a name only where it is listed as one to ask for", () => {
  const update = question("host.example.com", { dns: { name: "host.example.com", type: "SOA", opcode: "UPDATE" } });
  assert.deepEqual(egress(learned([...visit("host.example.com", {}), update])).l7?.dns, ["host.example.com"]);
});

test("applications are listed only where every payload was recognised", () => {
  const dns = [question("example.com")];
  assert.deepEqual(egress(learned(dns)).l7?.protocols, ["dns"]);
  assert.equal(egress(learned([...dns, flow({})])).l7?.protocols, undefined);
  assert.deepEqual(egress(learned([...dns, flow({ application: "tls" })])).l7?.protocols, ["dns", "tls"]);
});

test("a script has its own path; containers have entries of their own only where they differ", () => {
  const script = flow({ process: { path: "/usr/bin/python3", script: "/app/run.py" } });
  assert.deepEqual(
    entries(learned([script])).map(({ path }) => path),
    ["/app/run.py"],
  );
  const inside = (container: string, port: number) => flow({ port, process: { path: "/bin/app", container } });
  const alike = entries(learned([inside("one", 80), inside("two", 80)]));
  assert.deepEqual(
    alike.map(({ container }) => container),
    [undefined],
  );
  const different = entries(learned([inside("one", 80), inside("two", 443)]));
  assert.deepEqual(
    different.map(({ container }) => container),
    ["one", "two"],
  );
});

test("shells, package managers and debuggers are left out, with who started them, unless they are asked for", () => {
  const run = (path: string) => flow({ process: { path, parent: { pid: 1, path: "/bin/app" } } });
  const tools = ["/bin/bash", "/usr/bin/dash", "/usr/lib/apt/methods/http", "/usr/bin/nc.openbsd", "/usr/bin/pip3.11"];
  const result = learned([...tools.map(run), flow({})]);
  assert.deepEqual(
    entries(result).map(({ path }) => path),
    ["/bin/app"],
  );
  assert.deepEqual(
    new Set(left(result)),
    new Set([
      ...["/bin/bash shell", "/usr/bin/dash shell", "/usr/lib/apt/methods/http package-manager"],
      ...["/usr/bin/nc.openbsd debugger", "/usr/bin/pip3.11 package-manager"],
    ]),
  );
  assert.equal(result.leftOut[0]?.observations[0]?.parent, "/bin/app");
  const included = learned(tools.map(run), { include: new Set(["/bin/bash"]) });
  assert.deepEqual(
    entries(included).map(({ path }) => path),
    ["/bin/bash"],
  );
  assert.deepEqual(left(learned([run("/usr/bin/shellcheck"), run("/opt/bash/server")])), []);
});

test("a changed executable is left out; asked for, it is listed as any", () => {
  const records = [flow({ process: { path: "/tmp/new", modified: true } })];
  assert.deepEqual(left(learned(records)), ["/tmp/new modified"]);
  const [entry] = entries(learned(records, { include: new Set(["/tmp/new"]) }));
  assert.deepEqual([entry?.path, entry?.binary], ["/tmp/new", "Any"]);
});

test("what belongs to no process is left out; neighbour discovery is not worth a word", () => {
  const records = [
    flow({ process: null, proto: "icmp", direction: "ingress" }),
    flow({ process: null, proto: "icmpv6", peer: "ff02::2" }),
    flow({ process: null, proto: "icmpv6", peer: "fe80::1", direction: "ingress" }),
  ];
  const result = learned(records);
  assert.deepEqual(left(result), ["null no-process"]);
  assert.equal(result.leftOut[0]?.observations.length, 1);
});

test("violations of a profile in force are counted, and not learned", () => {
  const result = learned([flow({ verdict: "alerted", count: 3 }), flow({ verdict: "dropped" })]);
  assert.deepEqual([entries(result), result.coverage.violations], [[], 4]);
});

test("data ports of FTP and ports that a server chooses anew each time are left out; one high port may be a service", () => {
  const ftp = [flow({ port: 21 }), flow({ port: 50_000 }), flow({ port: 30_001 })];
  assert.deepEqual(egress(learned(ftp)).l4?.protocolPorts, [{ protocol: "tcp", port: 21 }]);
  assert.deepEqual(left(learned(ftp)), ["/bin/app one-off-port"]);
  const rpc = [111, 40_001, 40_002, 40_003].map((port) => flow({ port }));
  assert.deepEqual(egress(learned(rpc)).l4?.protocolPorts, [{ protocol: "tcp", port: 111 }]);
  const services = [flow({ port: 50_051 }), flow({ port: 50_052, count: 2 }), flow({ port: 50_053 })];
  assert.equal(egress(learned(services)).l4?.protocolPorts?.length, 3);
  const backwards = [1, 2, 3].map((n) => flow({ direction: "ingress", proto: "udp", port: 45_000 + n }));
  assert.deepEqual(entries(learned(backwards)), []);
});

test("data in questions, and names with tokens, are left out", () => {
  const random = (n: number) => `${"a8f3e9c17b264d05".repeat(2)}${n}.t.example.com`;
  const tunnel = [1, 2, 3].map((n) => question(random(n), { proto: "udp" }));
  const result = learned([...tunnel, question("www.example.com")]);
  assert.deepEqual(egress(result).l7?.dns, ["www.example.com"]);
  assert.deepEqual(left(result), ["/bin/app one-off-name"]);
  const balancer = visit("internal-a1b2c3d4e5f60718293a4b5c6d7e8f90-1234567890.eu-west-1.elb.amazonaws.com", {});
  assert.equal(egress(learned(balancer)).fqdns?.length, 1);
});

test("a name that no profile can list is left out", () => {
  assert.deepEqual(left(learned([question(""), question("a\\032b.example")])), ["/bin/app unlistable-name"]);
});

test("five siblings are proposed as one wider rule, and are one if it is asked for", () => {
  const names = ["a", "b", "c", "d", "e"].map((label) => `${label}.cdn.example.com`);
  const visits = names.flatMap((name) => visit(name, {}));
  const plain = learned(visits);
  assert.deepEqual(egress(plain).fqdns, names);
  assert.deepEqual(
    plain.proposals.map(({ kind, pattern, covers }) => [kind, pattern, covers]),
    [["names", "*.cdn.example.com", names]],
  );
  const wide = learned(visits, { generalize: new Set(["names"]) });
  assert.deepEqual([egress(wide).fqdns, egress(wide).l7, wide.proposals], [["*.cdn.example.com"], undefined, []]);
  assert.deepEqual(wide.evidence.find(({ path }) => path.includes("fqdns"))?.covers, names);
});

test("nothing wider than what somebody has registered is proposed", () => {
  const below = (parent: string) => ["a", "b", "c", "d", "e"].flatMap((label) => visit(`${label}.${parent}`, {}));
  for (const parent of ["com", "co.uk", "github.io", "s3.amazonaws.com", "local"]) {
    assert.deepEqual(learned(below(parent)).proposals, [], parent);
  }
  for (const parent of ["example.co.uk", "shop.svc.cluster.local", "bucket.s3.amazonaws.com"]) {
    assert.deepEqual(
      learned(below(parent)).proposals.map(({ pattern }) => pattern),
      [`*.${parent}`],
    );
  }
});

test("five addresses of one block are proposed as the block", () => {
  const peers = [1, 2, 3, 4, 5].flatMap((n) => [`203.0.113.${n}`, `2001:db8::${n}`]);
  const records = peers.map((peer) => flow({ peer }));
  assert.deepEqual(
    learned(records).proposals.map(({ pattern }) => pattern),
    ["203.0.113.0/24", "2001:db8::/64"],
  );
  const rules = egress(learned(records, { generalize: new Set(["addresses"]) }));
  assert.deepEqual([rules.cidr4, rules.cidr6], [["203.0.113.0/24"], ["2001:db8::/64"]]);
});

test("who comes to a port that is open to everybody stands for everybody", () => {
  const record = flow({ direction: "ingress", port: 8080, peer: "203.0.113.9" });
  const result = learned([record], { openPorts: [{ protocol: "tcp", port: 8080 }] });
  assert.deepEqual(entries(result)[0]?.network?.ingress?.cidr4, ["0.0.0.0/0"]);
  assert.deepEqual(result.evidence[0]?.covers, ["203.0.113.9"]);
});

test("coverage: replicas, time, what is missing; evidence: how often, when, by how many replicas", () => {
  const at = (minute: number, replica: string) => flow({ replica, time: `2026-01-02T03:0${minute}:00.000Z`, count: 2 });
  const recording = recordingOf([at(4, "web-2"), at(1, "web-1"), at(2, "web-1")]);
  recording.add({ time: "2026-01-02T03:09:00.000Z", type: "lost", where: "kernel", count: 5 });
  const { coverage, evidence } = learn(recording, OPTIONS);
  assert.deepEqual(coverage, {
    ...{
      replicas: ["default/web-1", "default/web-2"],
      from: "2026-01-02T03:01:00.000Z",
      to: "2026-01-02T03:04:00.000Z",
    },
    ...{ records: 3, lost: 5, violations: 0 },
  });
  const [first] = evidence;
  assert.deepEqual([first?.times, first?.replicas.size, first?.first], [6, 2, "2026-01-02T03:01:00.000Z"]);
});
