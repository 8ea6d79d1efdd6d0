import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { Semaphore } from "./semaphore.ts";

const LONG_MS = 60_000;

test("so many are let in, and one more whenever one leaves, in order", () => {
  const semaphore = new Semaphore(2, LONG_MS);
  const begun: string[] = [];
  const leaves = ["a", "b", "c", "d", "e"].map((name) => semaphore.enter(() => begun.push(name)));
  assert.deepEqual(begun, ["a", "b"]);
  leaves[3]?.();
  leaves[1]?.();
  assert.deepEqual(begun, ["a", "b", "c"], "who has given up waiting is passed over later");
  leaves[1]?.();
  assert.deepEqual(begun, ["a", "b", "c"], "a place is given back once");
  leaves[0]?.();
  assert.deepEqual(begun, ["a", "b", "c", "e"]);
  for (const leave of leaves) leave();
});

test("who takes too long is not waited for", async () => {
  const semaphore = new Semaphore(1, 10);
  const begun: string[] = [];
  const first = semaphore.enter(() => begun.push("slow"));
  const second = semaphore.enter(() => begun.push("next"));
  await wait(50);
  assert.deepEqual(begun, ["slow", "next"]);
  first();
  second();
});
