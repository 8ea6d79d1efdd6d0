/** Filters of records: each criterion by itself, none, and several at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { VerdictEvent } from "../record.ts";
import { type FilterCriteria, recordFilter } from "./filter.ts";

const record: VerdictEvent = {
  time: "2026-01-01T00:00:00.000Z",
  type: "verdict",
  verdict: "dropped",
  reason: "Peer",
  direction: "egress",
  workload: { name: "web", namespace: "shop", labels: {}, uid: "u1" },
  profiles: [],
  process: { pid: 1, path: "/bin/sh", script: "/run.sh", container: "main" },
  proto: "tcp",
  src: { ip: "10.0.0.1", port: 1 },
  dst: { ip: "10.0.0.2", port: 2 },
  count: 1,
};

const TAKEN: FilterCriteria[] = [
  {},
  { podUid: "u1" },
  { verdicts: ["allowed", "dropped"] },
  { direction: "egress" },
  { process: "/bin/sh" },
  { process: "/run.sh" },
  { container: "main" },
  { podUid: "u1", verdicts: ["dropped"], direction: "egress", process: "/run.sh", container: "main" },
];
const LEFT: FilterCriteria[] = [
  { podUid: "u2" },
  { verdicts: ["allowed"] },
  { verdicts: [] },
  { direction: "ingress" },
  { process: "/bin/s" },
  { container: "sidecar" },
  { podUid: "u1", verdicts: ["dropped"], direction: "egress", process: "/run.sh", container: "sidecar" },
];

for (const criteria of TAKEN) {
  test(`a record is taken by ${JSON.stringify(criteria)}`, () => assert.equal(recordFilter(criteria)(record), true));
}
for (const criteria of LEFT) {
  test(`a record is left out by ${JSON.stringify(criteria)}`, () =>
    assert.equal(recordFilter(criteria)(record), false));
}

test("packets of no process, and workloads that are no pods, meet no criterion of these", () => {
  const bare = { ...record, process: null, workload: { name: "a", namespace: "b", labels: {} } };
  const criteria: FilterCriteria[] = [{ process: "/bin/sh" }, { container: "main" }, { podUid: "u1" }];
  assert.deepEqual(
    criteria.map((one) => recordFilter(one)(bare)),
    [false, false, false],
  );
});
