/** Records counted by their fields, and views of what is on top: sums are right, the largest come first, and memory has its bounds. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEvent, DnsPart, FlowEvent, VerdictEvent } from "../record.ts";
import { FIELD_NAMES, fieldOf } from "./fields.ts";
import { FlowVolumes } from "./flow-volumes.ts";
import { Grouped } from "./grouped.ts";
import { Scripts } from "./scripts.ts";
import { OTHER, Tally } from "./tally.ts";
import { TOP_VIEWS, Top, type TopField, type TopView } from "./top.ts";

const base: VerdictEvent = {
  ...{ time: "2026-01-02T03:04:05.000Z", node: "n1", type: "verdict", verdict: "allowed", reason: "Allowed" },
  ...{
    direction: "egress",
    workload: { name: "web-6b-abcde", namespace: "shop", labels: { "pod-template-hash": "6b" } },
  },
  ...{ profiles: ["shop/web"], process: { path: "/bin/sh", script: "/run.sh", container: "main" }, proto: "tcp" },
  ...{ src: { ip: "10.0.0.1", port: 9 }, dst: { ip: "192.0.2.1", port: 443, name: "api.example.com" } },
  ...{ application: "tls", count: 2 },
};
const dns = (dns: DnsPart, more: Partial<VerdictEvent> = {}): VerdictEvent => {
  const isAnswer = dns.rcode !== undefined;
  const [client, server] = [
    { ip: "10.0.0.1", port: 9 },
    { ip: "10.96.0.10", port: 53 },
  ];
  const ends = isAnswer ? { src: server, dst: client } : { src: client, dst: server };
  const direction = isAnswer ? "ingress" : "egress";
  return { ...base, ...ends, type: "dns", direction, proto: "udp", application: "dns", dns, count: 1, ...more };
};
const ready: AgentEvent = { time: base.time, type: "ready", workloads: [] };

test("every field of a record is found, and is null where a record has none", () => {
  const asked = dns({ name: "a.example", type: "A", rcode: "NXDOMAIN" });
  const values = Object.fromEntries(FIELD_NAMES.map((name) => [name, fieldOf(base, name) ?? fieldOf(asked, name)]));
  assert.deepEqual(values, {
    ...{ type: "verdict", node: "n1", namespace: "shop", pod: "shop/web-6b-abcde", workload: "shop/web" },
    ...{ container: "main", process: "/run.sh", verdict: "allowed", reason: "Allowed", direction: "egress" },
    ...{
      profile: "shop/web",
      protocol: "tcp",
      application: "tls",
      port: "443",
      service: "443/tcp",
      peer: "api.example.com",
    },
    ...{ ip: "192.0.2.1", name: "api.example.com", qtype: "A", rcode: "NXDOMAIN" },
  });
  assert.deepEqual(
    FIELD_NAMES.filter((name) => fieldOf(ready, name) !== null),
    ["type"],
  );
});

test("groups count records and packets, the largest first; what has no value is a group, too", () => {
  const grouped = new Grouped(["process", "port"]);
  for (const one of [base, base, { ...base, dst: { ip: "192.0.2.1", port: 80 }, count: 9 }, ready]) grouped.add(one);
  assert.deepEqual(grouped.groups(10), [
    { values: ["/run.sh", "443"], records: 2, packets: 4, bytes: 0 },
    { values: ["/run.sh", "80"], records: 1, packets: 9, bytes: 0 },
    { values: [null, null], records: 1, packets: 0, bytes: 0 },
  ]);
  assert.equal(grouped.groups(1).length, 1);
});

test("a tally has so many keys, and counts what is of others together", () => {
  const tally = new Tally(["times"], 100);
  for (let number = 0; number < 1000; number += 1) tally.add([`${number}`, "x"], { times: 1 });
  for (let times = 0; times < 5; times += 1) tally.add(["7", "x"], { times: 1 });
  const rows = tally.rows(["times"]);
  assert.equal(rows.length, 101);
  assert.deepEqual(rows[0], { key: ["7", "x"], counts: { times: 6 } });
  assert.deepEqual(rows.at(-1), { key: [OTHER, OTHER], counts: { times: 900 } });
});

function topOf(view: TopView, field: TopField | null, records: readonly AgentEvent[]): string[] {
  const top = new Top(view, field);
  for (const one of records) top.add(one);
  return top.rows(10).map(({ key, counts }) => {
    const named = counts.filter(([, count]) => count > 0).map(([name, count]) => `${name}=${count}`);
    return [...key.map(([, value]) => value), ...named].join(" ");
  });
}

const RECORDS: AgentEvent[] = [
  ready,
  { ...base, dst: { ip: "192.0.2.9", port: 25 }, verdict: "dropped", reason: "Peer", count: 4 },
  base,
  dns({ name: "api.example.com", type: "A" }),
  // The first packet of a flow, which trace-dns reports again.
  dns({ name: "api.example.com", type: "A" }, { type: "verdict" }),
  dns({ name: "api.example.com", type: "A", rcode: "NOERROR" }),
  dns({ name: "gone.example.com", type: "AAAA" }),
  dns({ name: "gone.example.com", type: "AAAA", rcode: "NXDOMAIN" }),
  dns({ name: "gone.example.com", type: "AAAA", rcode: "SERVFAIL" }),
  dns({ name: "evil.example", type: "TXT" }, { type: "verdict", verdict: "dropped", reason: "DnsName" }),
];

test("talkers: conversations and violations, by pod, process or another field", () => {
  assert.deepEqual(topOf("talkers", "workload", RECORDS), ["shop/web flows=3 violations=5"]);
  assert.deepEqual(topOf("talkers", "process", RECORDS), ["/run.sh flows=3 violations=5"]);
});

test("names: those that are asked for, and those that lead to conversations", () => {
  assert.deepEqual(topOf("names", null, RECORDS), [
    "api.example.com flows=2 questions=1",
    "gone.example.com questions=1",
    "evil.example violations=1",
  ]);
});

test("dns: questions once, whether traced or not, and how they were answered", () => {
  assert.deepEqual(topOf("dns", "container", RECORDS), [
    "main gone.example.com AAAA questions=1 answers=2 nxdomain=1 failures=1",
    "main api.example.com A questions=1 answers=1",
    "main evil.example TXT violations=1",
  ]);
});

test("errors: what was refused, and what failed", () => {
  assert.deepEqual(topOf("errors", null, RECORDS), [
    "dropped Peer 192.0.2.9 25/tcp times=4",
    "NXDOMAIN gone.example.com 53/udp times=1",
    "SERVFAIL gone.example.com 53/udp times=1",
    "dropped DnsName evil.example 53/udp times=1",
  ]);
});

test("every view says nothing of records that are of no packets", () => {
  for (const view of TOP_VIEWS) assert.deepEqual(topOf(view, null, [ready]), [], view);
});

const flow = (id: string, sent: number, more: Partial<FlowEvent> = {}): FlowEvent => ({
  ...{ time: base.time, type: "flow", state: "update", id, start: base.time, durationNs: 1, verdict: "allowed" },
  ...{ reason: "Allowed", direction: "egress", workload: base.workload, profiles: [], proto: "tcp" },
  ...{ process: { key: "k", path: "/bin/sh" }, src: base.src, dst: base.dst },
  ...{ packets: { sent: 1, received: 1 }, bytes: { sent, received: 10 } },
  ...more,
});

test("bytes come from records of flows, each of which has all since it began: none counts twice", () => {
  const records = [base, flow("a", 100), flow("a", 150), flow("a", 150, { state: "end" }), flow("b", 5)];
  assert.deepEqual(topOf("talkers", "pod", records), ["shop/web-6b-abcde bytes=175 packets=4 flows=2"]);
  const grouped = new Grouped(["namespace"]);
  for (const one of records) grouped.add(one);
  assert.deepEqual(grouped.groups(1), [{ values: ["shop"], records: 5, packets: 6, bytes: 175 }]);
});

test("of flows that are forgotten, and go on, too little is counted, never too much", () => {
  const volumes = new FlowVolumes(undefined, 10);
  const late = new Date(Date.parse(base.time) + 120_000).toISOString();
  for (let number = 0; number < 100; number += 1) {
    assert.equal(volumes.added(flow(`${number}`, 100)).bytes.sent, 100);
  }
  assert.equal(volumes.added(flow("0", 200, { time: late })).bytes.sent, 0);
  assert.equal(volumes.added(flow("99", 200, { time: late })).bytes.sent, 100);
});

test("a script is that of its process in records that have the interpreter alone", () => {
  const scripts = new Scripts();
  scripts.completed({ ...base, process: { key: "k", path: "/bin/sh", script: "/run.sh" } });
  assert.equal(fieldOf(scripts.completed(flow("a", 1)), "process"), "/run.sh");
  assert.equal(
    fieldOf(scripts.completed(flow("a", 1, { process: { key: "other", path: "/bin/sh" } })), "process"),
    "/bin/sh",
  );
});
