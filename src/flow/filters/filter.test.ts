/** Filters of records: each criterion by itself, wrong values, several at once, and what is denied. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { AgentEvent, VerdictEvent } from "../record.ts";
import {
  CRITERION_NAMES,
  EVERY_RECORD,
  type FilterCriteria,
  recordFilter,
  selectionFilter,
  workloadFilter,
} from "./filter.ts";
import { namePattern } from "./pattern.ts";

const record: VerdictEvent = {
  time: "2026-01-01T00:00:00.000Z",
  node: "worker-1",
  type: "verdict",
  verdict: "dropped",
  reason: "Peer",
  direction: "egress",
  workload: { name: "web-0", namespace: "shop", labels: { app: "web", tier: "" }, uid: "u1" },
  profiles: ["shop/web"],
  process: { pid: 1, path: "/bin/sh", script: "/run.sh", container: "main" },
  proto: "tcp",
  src: { ip: "10.0.0.1", port: 40_000 },
  dst: { ip: "2001:db8::2", port: 443, name: "api.example.com" },
  application: "tls",
  count: 1,
};
const question: VerdictEvent = {
  ...record,
  type: "dns",
  proto: "udp",
  dst: { ip: "10.0.0.10", port: 53 },
  dns: { name: "Secret.Example.org", type: "A" },
};
const received: VerdictEvent = { ...record, direction: "ingress", src: record.dst, dst: record.src };
const { application: _, ...unrecognised } = record;
const bare: VerdictEvent = {
  ...unrecognised,
  node: "",
  process: null,
  profiles: [],
  proto: "arp",
  workload: { name: "a", namespace: "b", labels: {} },
  src: { ip: "::" },
  dst: { ip: "::" },
};
const ready: AgentEvent = { time: record.time, type: "ready", workloads: ["web-0"] };
const workload: AgentEvent = {
  ...{ time: record.time, type: "workload", workload: record.workload },
  ...{ state: "enforced", interfaces: [], profiles: ["shop/web"] },
};

/** Criterion, values, and what it takes of: the record, the question, the received one, the bare one, ready, workload. */
const CASES: [FilterCriteria, string][] = [
  [{}, "rqibRw"],
  [{ type: ["verdict"] }, "rib"],
  [{ type: ["dns", "ready"] }, "qR"],
  [{ verdict: ["allowed", "dropped"] }, "rqib"],
  [{ verdict: ["allowed"] }, ""],
  [{ verdict: [] }, ""],
  [{ reason: ["Peer"] }, "rqib"],
  [{ reason: ["Port"] }, ""],
  [{ direction: ["egress"] }, "rqb"],
  [{ protocol: ["TCP"] }, "ri"],
  [{ protocol: ["dns", "tls"] }, "rqi"],
  [{ protocol: ["arp"] }, "b"],
  [{ protocol: ["icmp", "47"] }, ""],
  [{ process: ["/bin/sh"] }, "rqi"],
  [{ process: ["/run.sh"] }, "rqi"],
  [{ process: ["sh"] }, "rqi"],
  [{ process: ["/bin/*"] }, "rqi"],
  [{ process: ["/bin/s"] }, ""],
  [{ process: ["h"] }, ""],
  [{ container: ["main"] }, "rqi"],
  [{ container: ["sidecar"] }, ""],
  [{ profile: ["web"] }, "rqiw"],
  [{ profile: ["shop/web"] }, "rqiw"],
  [{ profile: ["other/web"] }, ""],
  [{ podUid: ["u1"] }, "rqiw"],
  [{ podUid: ["u2"] }, ""],
  [{ nodeName: ["worker-*"] }, "rqi"],
  [{ nodeName: ["master"] }, ""],
  [{ pod: ["web"] }, "rqiw"],
  [{ pod: ["shop/web-0"] }, "rqiw"],
  [{ pod: ["other/web-0"] }, ""],
  [{ pod: ["/web"] }, "rqiw"],
  [{ pod: ["shop/"] }, "rqiw"],
  [{ pod: ["web"], port: ["443"] }, ""],
  [{ pod: ["web"], toPort: ["443"] }, "r"],
  [{ pod: ["web"], label: ["app=web"], namespace: ["shop"] }, "rqiw"],
  [{ ip: ["10.0.0.1"], port: ["443"] }, ""],
  [{ fqdn: ["api.*"], port: ["443"] }, "ri"],
  [{ fromPod: ["web"], fqdn: ["*.example.*"] }, "rq"],
  [{ fromPod: ["web"] }, "rq"],
  [{ toPod: ["web"] }, "i"],
  [{ namespace: ["shop"] }, "rqiw"],
  [{ fromNamespace: ["shop"] }, "rq"],
  [{ toNamespace: ["shop", "b"] }, "i"],
  [{ label: ["app=web"] }, "rqiw"],
  [{ label: ["app=web,tier"] }, "rqiw"],
  [{ label: ["app!=web"] }, "b"],
  [{ label: ["!app"] }, "b"],
  [{ label: ["app=web,!tier"] }, ""],
  [{ fromLabel: ["app==web"] }, "rq"],
  [{ toLabel: ["app"] }, "i"],
  [{ fqdn: ["*.example.com"] }, "ri"],
  [{ fqdn: ["secret.example.ORG."] }, "q"],
  [{ toFqdn: ["api.example.com"] }, "r"],
  [{ toFqdn: ["secret.example.org"] }, ""],
  [{ fromFqdn: ["api.*"] }, "i"],
  [{ ip: ["10.0.0.0/24"] }, "rqi"],
  [{ ip: ["2001:DB8::/32"] }, "ri"],
  [{ toIp: ["10.0.0.1"] }, "i"],
  [{ fromIp: ["10.0.0.1"] }, "rq"],
  [{ port: ["443"] }, "ri"],
  [{ toPort: ["400-500", "53"] }, "rq"],
  [{ fromPort: ["443"] }, "i"],
  [{ verdict: ["dropped"], direction: ["egress"], process: ["/run.sh"], toPort: ["53"] }, "q"],
  [{ verdict: ["dropped"], container: ["sidecar"] }, ""],
];

/** And whether it takes a connection that timed out, after round trips of 20 ms. */
const FLOW_CASES: [FilterCriteria, boolean][] = [
  [{ failure: ["timeout", "refused"] }, true],
  [{ failure: ["refused"] }, false],
  [{ minRtt: ["20ms"] }, true],
  [{ minRtt: ["1s", "500us"] }, true],
  [{ minRtt: ["20.5ms"] }, false],
];

const RECORDS: [string, AgentEvent][] = [
  ["r", record],
  ["q", question],
  ["i", received],
  ["b", bare],
  ["R", ready],
  ["w", workload],
];

const taken = (filter: (record: AgentEvent) => boolean) =>
  RECORDS.filter(([, one]) => filter(one))
    .map(([letter]) => letter)
    .join("");

for (const [criteria, expected] of CASES) {
  test(`${JSON.stringify(criteria)} takes ${expected || "none"}`, () =>
    assert.equal(taken(recordFilter(criteria)), expected));
}

test("how a connection failed, and how long its round trips took, is of flows alone", () => {
  const flow: AgentEvent = {
    ...{ time: record.time, type: "flow", state: "end", end: "failed", id: "f", start: record.time, durationNs: 1 },
    ...{ verdict: "allowed", reason: "Allowed", direction: "egress", profiles: [], process: null, proto: "tcp" },
    ...{ workload: record.workload, src: record.src, dst: record.dst },
    ...{ packets: { sent: 1, received: 0 }, bytes: { sent: 60, received: 0 } },
    tcp: { state: "syn-sent", failure: "timeout", rtt: { smoothedNs: 20_000_000 } },
  };
  const found = FLOW_CASES.map(([criteria]) => [recordFilter(criteria)(flow), recordFilter(criteria)(record)]);
  assert.deepEqual(
    found,
    FLOW_CASES.map(([, isFound]) => [isFound, false]),
  );
});

test("every criterion has its case", () => {
  const tried = new Set([...CASES, ...FLOW_CASES].flatMap(([criteria]) => Object.keys(criteria)));
  assert.deepEqual(
    CRITERION_NAMES.filter((name) => !tried.has(name)),
    [],
  );
});

test("what meets all that is denied is left out, what meets a part of it is not", () => {
  const deny = { type: ["dns"], toPort: ["53"] };
  assert.equal(taken(selectionFilter({ allow: [], deny: [deny] })), "ribRw");
  assert.equal(
    taken(selectionFilter({ allow: [{ pod: ["web"] }], deny: [{ type: ["verdict"], toPort: ["53"] }] })),
    "rqiw",
  );
  assert.equal(taken(selectionFilter(EVERY_RECORD)), "rqibRw");
});

test("of several lists of criteria, one that is allowed is enough, and so is one that is denied", () => {
  const [questions, beginnings] = [{ type: ["dns"], toPort: ["53"] }, { type: ["ready"] }];
  assert.equal(taken(selectionFilter({ allow: [questions, beginnings], deny: [] })), "qR");
  assert.equal(taken(selectionFilter({ allow: [], deny: [questions, beginnings] })), "ribw");
  assert.equal(taken(selectionFilter({ allow: [questions, {}], deny: [beginnings] })), "rqibw");
});

test("a wrong value is named, with what may stand there", () => {
  const wrong: [FilterCriteria, RegExp][] = [
    [{ type: ["flows"] }, /type cannot be "flows": there are verdict, dns,/],
    [{ verdict: ["DENIED"] }, /verdict cannot be "DENIED": there are allowed/],
    [{ reason: ["Because"] }, /reason cannot be "Because"/],
    [{ direction: ["up"] }, /direction cannot be "up"/],
    [{ protocol: ["tpc"] }, /protocol cannot be "tpc"/],
    [{ toPort: ["70000"] }, /port cannot be "70000"/],
    [{ port: ["9-8"] }, /port cannot be "9-8"/],
    [{ port: ["http"] }, /port cannot be "http"/],
    [{ ip: ["10.0.0"] }, /ip cannot be "10.0.0"/],
    [{ ip: ["10.0.0.0/33"] }, /ip cannot be/],
    [{ ip: ["10.1"] }, /ip cannot be "10.1"/],
    [{ label: ["app=a b"] }, /label cannot be "app=a b"/],
    [{ label: ["!app=web"] }, /label cannot be/],
    [{ label: [""] }, /label cannot be/],
    [
      { pod: ["web"], fqdn: ["a.example"] },
      /fqdn cannot be "a.example": beside pod, say which end each is of: .*to-fqdn/,
    ],
    [{ namespace: ["shop"], ip: ["10.0.0.1"] }, /ip cannot be "10.0.0.1": beside namespace/],
  ];
  for (const [criteria, message] of wrong) {
    assert.throws(() => recordFilter(criteria), { code: "PC_FILTER_INVALID", message }, JSON.stringify(criteria));
  }
});

test("a reader may leave out workloads that no record of is wanted, and never one that is", () => {
  const shop = { namespace: "shop", name: "web-0" };
  assert.equal(workloadFilter(EVERY_RECORD)(shop), true);
  assert.equal(workloadFilter({ allow: [{ pod: ["web"], verdict: ["dropped"] }] })(shop), true);
  assert.equal(workloadFilter({ allow: [{ fromPod: ["db"] }] })(shop), false);
  assert.equal(workloadFilter({ allow: [{ namespace: ["bank"] }] })(shop), false);
  assert.equal(workloadFilter({ allow: [{ namespace: ["bank"] }, { pod: ["web"] }] })(shop), true);
  for (const [criteria] of CASES) {
    for (const [, one] of RECORDS) {
      if (!("workload" in one) || !recordFilter(criteria)(one)) continue;
      assert.equal(workloadFilter({ allow: [criteria] })(one.workload), true, JSON.stringify(criteria));
    }
  }
});

test("patterns take no longer for names that are made to", () => {
  const started = performance.now();
  assert.equal(namePattern([`${"*a".repeat(500)}*b`])("a".repeat(16_000)), false);
  assert.ok(performance.now() - started < 1000);
});

test("records of flows are found by what they have in common with those of packets", () => {
  const { type: _, dns: __, count: ___, ...common } = record;
  const flow: AgentEvent = {
    ...common,
    ...{ type: "flow", state: "end", id: "f", start: record.time, durationNs: 1 },
    ...{ packets: { sent: 1, received: 1 }, bytes: { sent: 60, received: 60 } },
  };
  for (const [criteria, expected] of CASES) {
    if (criteria.type !== undefined) continue;
    assert.equal(recordFilter(criteria)(flow), expected.includes("r"), JSON.stringify(criteria));
  }
  assert.equal(recordFilter({ type: ["flow"] })(flow), true);
});
