import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../timing/backoff.ts";
import { steadyNow } from "../timing/steady-time.ts";
import { Controller } from "./controller.ts";
import { eventually, silentLogger } from "./testing/silence.ts";
import { WorkQueue } from "./work-queue.ts";

const log = silentLogger();

test("waits double up to a limit, and are spread", () => {
  const longest = new Backoff({ initial: 10, maximum: 100, random: () => 0.999999 });
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6].map(() => Math.round(longest.next())),
    [10, 20, 40, 80, 100, 100],
  );
  longest.reset();
  assert.equal(Math.round(longest.next()), 10);
  const shortest = new Backoff({ initial: 10, maximum: 100, random: () => 0 });
  assert.equal(shortest.next(), 5);
  for (let count = 0; count < 2000; count += 1) assert.ok(shortest.next() <= 100);
});

test("a key is in the queue once, and again if it was added while it was looked at", async () => {
  const queue = new WorkQueue();
  for (const key of ["a", "b", "a", "a"]) queue.add(key);
  assert.equal(queue.depth, 2);
  assert.equal(await queue.take(), "a");
  queue.add("a");
  queue.add("c");
  assert.equal(queue.depth, 2);
  queue.done("a");
  const rest: (string | null)[] = [];
  for (let count = 0; count < 3; count += 1) rest.push(queue.takeNow());
  // The busy one comes after all that were waiting.
  assert.deepEqual(rest, ["b", "c", "a"]);
  assert.equal(queue.takeNow(), null);
});

test("a group that rests lets others pass, and comes back by itself", async () => {
  const queue = new WorkQueue(undefined, (key) => key.slice(0, 1));
  queue.rest("a", 60_000);
  for (const key of ["a1", "b1", "b2"]) queue.add(key);
  assert.deepEqual([queue.takeNow(), queue.takeNow(), queue.takeNow()], ["b1", "b2", null]);
  queue.rest("a", 20);
  const start = steadyNow();
  assert.equal(await queue.take(), "a1");
  assert.ok(steadyNow() - start >= 15);
  queue.rest("a", 60_000);
  const waiting = queue.take();
  queue.add("a2");
  queue.add("c1");
  assert.equal(await waiting, "c1");
  assert.equal(queue.depth, 1);
  queue.close();
});

test("a group has no more workers than it may, and leaves the others to others", async () => {
  const queue = new WorkQueue(undefined, (key) => key.slice(0, 1), 2);
  for (const key of ["a1", "a2", "a3", "b1"]) queue.add(key);
  assert.deepEqual([queue.takeNow(), queue.takeNow(), queue.takeNow(), queue.takeNow()], ["a1", "b1", "a2", null]);
  const waiting = queue.take();
  queue.done("b1");
  queue.done("a1");
  assert.equal(await waiting, "a3");
  queue.close();
});

test("of several times the soonest counts", async () => {
  const queue = new WorkQueue();
  queue.addAfter("a", 10_000);
  queue.addAfter("a", 10);
  queue.addAfter("a", 5_000);
  assert.equal(queue.delayed, 1);
  assert.equal(await queue.take(), "a");
  assert.equal(queue.delayed, 0);
  queue.close();
  assert.equal(await queue.take(), null);
});

test("a key that fails comes back and does not hold up the others", async () => {
  const seen: string[] = [];
  let failures = 3;
  const controller = new Controller({
    name: "test",
    log,
    queue: new WorkQueue({ initial: 1, maximum: 5 }),
    reconcile: (key) => {
      seen.push(key);
      if (key === "bad" && failures-- > 0) throw new Error("on purpose");
    },
  });
  controller.start();
  for (const key of ["bad", "one", "two"]) controller.enqueue(key);
  await eventually("the bad one four times", () => seen.filter((key) => key === "bad").length === 4);
  assert.deepEqual(seen.slice(0, 3), ["bad", "one", "two"]);
  await controller.stop();
});

test("no key is under way twice, and stopping waits for what is", async () => {
  let under = 0;
  let most = 0;
  let finished = 0;
  let release = (): void => undefined;
  const held = new Promise<void>((settle) => {
    release = settle;
  });
  const controller = new Controller({
    name: "test",
    log,
    workers: 4,
    reconcile: async () => {
      under += 1;
      most = Math.max(most, under);
      await held;
      under -= 1;
      finished += 1;
    },
  });
  controller.start();
  for (let count = 0; count < 5; count += 1) {
    controller.enqueue("same");
    await new Promise((settle) => setTimeout(settle, 1));
  }
  assert.equal(most, 1);
  release();
  await eventually("the second look", () => finished === 2);
  controller.enqueue("last");
  await controller.stop();
  assert.equal(finished, 3);
});

test("a controller that never waits lets others have their turn", async () => {
  let turns = 0;
  const timer = setInterval(() => {
    turns += 1;
  }, 1);
  const controller = new Controller({
    name: "test",
    log,
    reconcile: () => {
      const end = performance.now() + 1;
      while (performance.now() < end);
    },
  });
  for (let count = 0; count < 100; count += 1) controller.enqueue(String(count));
  controller.start();
  await eventually("all done", () => controller.queue.isIdle);
  clearInterval(timer);
  assert.ok(turns >= 5, `${turns} turns`);
  await controller.stop();
});
