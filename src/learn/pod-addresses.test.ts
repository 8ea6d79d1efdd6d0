/** Pods as peers: an address that a pod's own records show is written as the labels of its workload, and read so again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Network } from "../api/types.ts";
import type { VerdictEvent } from "../flow/record.ts";
import { processOf, profileOf } from "../policy/testing/profiles.ts";
import { learn } from "./learn.ts";
import { RecordedWorkloads } from "./recorded-workloads.ts";
import { replay } from "./replay.ts";
import { flow } from "./testing/records.ts";
import { usage } from "./usage.ts";

interface Pod {
  name: string;
  ip: string;
  labels: Record<string, string>;
  namespace?: string;
}

const WEB: Pod = { name: "web-1", ip: "10.0.0.2", labels: { app: "web" } };
const db = (index: number, ip: string): Pod => ({
  name: `db-${index}`,
  ip,
  labels: { app: "db", "apps.kubernetes.io/pod-index": String(index) },
});

/** A record of one pod of a cluster. */
function of({ name, ip, labels, namespace = "default" }: Pod, record: VerdictEvent): VerdictEvent {
  const own = record.direction === "egress" ? "src" : "dst";
  return {
    ...record,
    workload: { name, namespace, labels, uid: `uid of ${name}` },
    [own]: { ...record[own], ip },
  };
}

/** `db` is connected to by `web`, and both saw it. */
function conversation(client: Pod, server: Pod): VerdictEvent[] {
  const process = { path: "/bin/db" };
  return [
    of(client, flow({ peer: server.ip, port: 5432 })),
    of(server, flow({ direction: "ingress", peer: client.ip, port: 5432, process })),
  ];
}

function recorded(records: readonly VerdictEvent[]): RecordedWorkloads {
  const workloads = new RecordedWorkloads();
  for (const record of records) workloads.add(record);
  return workloads;
}

/** Rules of one workload. */
function learned(records: readonly VerdictEvent[], name: string): Network | undefined {
  const workloads = recorded(records);
  const workload = workloads.end().find((candidate) => candidate.name === name);
  assert.ok(workload !== undefined, name);
  const { profile } = learn(workload.recording, {
    ...{ name, namespace: "default", labels: { app: name }, include: new Set<string>(), generalize: new Set<never>() },
    ...{ resolvers: [], searchDomains: [], openPorts: [] },
    podAt: (address) => workloads.pods.peerAt(address, workload.namespace),
  });
  return profile.spec.processes?.[0]?.network;
}

test("peers that are pods are written by the labels that all replicas have in common", () => {
  const records = [...conversation(WEB, db(0, "10.0.0.10")), ...conversation(WEB, db(1, "10.0.0.11"))];
  const { egress } = learned(records, "web-1") ?? {};
  assert.deepEqual(egress?.pods, [{ podSelector: { matchLabels: { app: "db" } } }]);
  assert.equal(egress?.cidr4, undefined);
  const { ingress } = learned(records, "db") ?? {};
  assert.deepEqual(ingress?.pods, [{ podSelector: { matchLabels: { app: "web" } } }]);
});

test("a pod of another namespace is written with its namespace", () => {
  const records = conversation(WEB, { ...db(0, "10.0.0.10"), namespace: "data" });
  assert.deepEqual(learned(records, "web-1")?.egress?.pods, [
    {
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "data" } },
      podSelector: { matchLabels: { app: "db" } },
    },
  ]);
});

test("an address stays one where records do not say whose it is: of nobody, of two workloads, or forged", () => {
  const address = (records: readonly VerdictEvent[]) => {
    const { egress } = learned(records, "web-1") ?? {};
    return [egress?.pods, egress?.cidr4];
  };
  const [toServer, ...ofServer] = conversation(WEB, db(0, "10.0.0.10"));
  assert.ok(toServer !== undefined);
  const stays = [undefined, ["10.0.0.10/32"]];
  assert.deepEqual(address([toServer]), stays);
  const other: Pod = { name: "cache-1", ip: "10.0.0.10", labels: { app: "cache" } };
  assert.deepEqual(address([toServer, ...ofServer, of(other, flow({}))]), stays);
  const forged = of({ ...WEB, name: "evil", labels: { app: "evil" } }, flow({}));
  const forger = (ip: string) => ({ ...forged, src: { ...forged.src, ip } });
  assert.deepEqual(address([toServer, forger("10.0.0.9"), forger("10.0.0.10")]), stays);
  const outside = [toServer, ...ofServer].map(({ workload: { uid: _, ...workload }, ...record }) => {
    return { ...record, workload };
  });
  assert.deepEqual(address(outside), stays, "labels mean nothing to peers without a cluster");
});

test("replay and the share of used rights know the pods of whom there are records", () => {
  const workloads = recorded(conversation(WEB, db(0, "10.0.0.10")));
  const [, web] = workloads.end();
  assert.ok(web !== undefined);
  const l4 = { protocolPorts: [{ protocol: "tcp" as const, port: 5432 }] };
  const profile = profileOf("web", {
    processes: [processOf("/bin/app", { egress: { pods: [{ podSelector: { matchLabels: { app: "db" } } }], l4 } })],
  });
  const circumstances = { resolvers: [], searchDomains: [] };
  const { replayed } = replay([profile], web, circumstances, workloads.pods);
  assert.deepEqual(
    replayed.map(({ outcome }) => outcome),
    ["allowed"],
  );
  const [used] = usage(profile, web.recording.observations(), { resolvers: [], pods: workloads.pods });
  assert.deepEqual(
    used?.values.map(({ text, evidence }) => [text, evidence === "unknown" || evidence?.times]),
    [
      ['{"podSelector":{"matchLabels":{"app":"db"}}}', 1],
      ["5432/tcp", 1],
    ],
  );
});
