/** Whose token is checked first, and who is asked to come back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { ReviewQueue } from "./review-queue.ts";

/** A review that ends when it is asked to. */
function pending() {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { work: () => promise, end: () => resolve("done") };
}

/** A queue whose places are all taken. */
function busyQueue() {
  const queue = new ReviewQueue();
  const running = Array.from({ length: 16 }, () => pending());
  for (const [index, { work }] of running.entries()) void queue.pass(`10.0.0.1:${index}`, false, work);
  return { queue, running };
}

test("a flood of one peer waits for itself, and finds no place in the end", async () => {
  const { queue, running } = busyQueue();
  const outcomes = Array.from({ length: 200 }, (_, index) =>
    queue.pass(`10.0.0.2:${index}`, false, async () => "done").catch(({ message }: Error) => message),
  );
  const other = queue.pass("10.0.0.3:1", false, async () => "done");
  for (const { end } of running) end();
  assert.equal(await other, "done");
  const refused = (await Promise.all(outcomes)).filter((outcome) => /too many tokens wait/.test(outcome));
  assert.equal(refused.length, 200 - 64);
});

test("an address that an agent was let in from before goes first", async () => {
  const { queue, running } = busyQueue();
  const order: string[] = [];
  const work = (who: string) => async () => order.push(who);
  const all = [
    queue.pass("10.0.0.2:1", false, work("unknown")),
    queue.pass("10.0.0.2:2", false, work("unknown")),
    queue.pass("10.0.0.9:1", true, work("known")),
  ];
  await wait(5);
  for (const { end } of running) end();
  await Promise.all(all);
  assert.equal(order[0], "known");
});

test("a place is given back when the work has failed", async () => {
  const queue = new ReviewQueue();
  for (let round = 0; round < 100; round += 1) {
    const failing = queue.pass("10.0.0.1:1", false, async () => Promise.reject(new Error("no")));
    await assert.rejects(failing, /no/);
  }
  assert.equal(await queue.pass("10.0.0.1:1", false, async () => "done"), "done");
});

test("an address that was let in before and floods leaves their turns to others, known or not", async () => {
  const { queue, running } = busyQueue();
  const order: string[] = [];
  const work = (who: string) => async () => order.push(who);
  const flood = Array.from({ length: 200 }, (_, index) =>
    queue.pass(`10.0.0.2:${index}`, true, work("flood")).catch(({ message }: Error) => message),
  );
  const others = [queue.pass("10.0.0.9:1", true, work("known")), queue.pass("10.0.0.10:1", false, work("unknown"))];
  await wait(5);
  for (const { end } of running) end();
  await Promise.all([...flood, ...others]);
  assert.ok(order.indexOf("known") < 3, `the known one came as number ${order.indexOf("known")}`);
  assert.ok(order.indexOf("unknown") < 20, `the unknown one came as number ${order.indexOf("unknown")}`);
});
