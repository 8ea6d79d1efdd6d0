/** The oldest processes of a pod that has many, at little cost for the agent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { OldestProcesses } from "./oldest-processes.ts";

const MOST = 3;

function setUp(starts: Map<number, number>) {
  const read: number[] = [];
  const oldest = new OldestProcesses((pid) => {
    read.push(pid);
    return starts.get(pid) ?? null;
  });
  return { oldest, read, pids: [...starts.keys()] };
}

test("§9 a pod with 20,000 processes: a look reads those that are new, and the oldest again", () => {
  const { oldest, read, pids } = setUp(new Map(Array.from({ length: 20_000 }, (_, pid) => [pid + 1, 20_000 - pid])));
  oldest.of(pids, MOST);
  read.length = 0;
  const found = oldest.of(pids, MOST).map(({ pid }) => pid);
  assert.deepEqual(found, [20_000, 19_999, 19_998]);
  assert.deepEqual(read, found);
});

test("a number that another process has got since does not make that one old, and who has ended is not found", () => {
  const starts = new Map([1, 2, 3, 4, 5].map((pid) => [pid, pid * 10]));
  const { oldest, pids } = setUp(starts);
  assert.deepEqual(
    oldest.of(pids, MOST).map(({ pid }) => pid),
    [1, 2, 3],
  );
  starts.set(1, 100).delete(2);
  assert.deepEqual(
    oldest.of(pids, MOST).map(({ pid }) => pid),
    [3, 4, 5],
  );
  oldest.keep(new Set([4]));
  starts.set(4, 1);
  assert.deepEqual(oldest.of([1, 4], MOST), [
    { pid: 4, start: 1 },
    { pid: 1, start: 100 },
  ]);
});
