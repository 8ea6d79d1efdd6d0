/** What a report to the operator has of each pod's violations when there are more than it takes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { violationEvent } from "../testing/violation.ts";
import { ViolationQueue } from "./violation-queue.ts";

function violation(uid: string, port: number) {
  const workload = { name: uid, namespace: "default", labels: {}, uid };
  return violationEvent({ workload, dst: { ip: "10.0.0.2", port } });
}

test("§9 a pod's flood of violations: another's are in the report, however late they came", () => {
  const queue = new ViolationQueue();
  for (let port = 1; port <= 5000; port += 1) queue.write(violation("loud", port));
  for (const port of [443, 444]) queue.write(violation("quiet", port));
  const { violations, lost } = queue.take(100);
  const quiet = violations.filter(({ podUid }) => podUid === "quiet");
  assert.deepEqual(
    quiet.map(({ port }) => port),
    [443, 444],
  );
  assert.equal(violations.length, 100);
  assert.equal(violations.length + lost, 5002);
});

test("what has been taken is not taken again", () => {
  const queue = new ViolationQueue();
  queue.write(violation("web", 443));
  assert.equal(queue.take(100).violations.length, 1);
  assert.deepEqual(queue.take(100), { violations: [], lost: 0 });
});
