/** When an agent connects again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Reconnect } from "./reconnect.ts";

const options = { initial: 500, maximum: 30_000, maximumAnswered: 4_000, random: () => 1 };

function delays(reconnect: Reconnect, count: number, before: () => void = () => {}): number[] {
  return Array.from({ length: count }, () => {
    before();
    return reconnect.nextDelay();
  });
}

test("it waits longer each time, up to a limit, until a connection was good", () => {
  const reconnect = new Reconnect(options);
  assert.deepEqual(delays(reconnect, 8), [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  reconnect.succeeded();
  assert.deepEqual(delays(reconnect, 2), [500, 1_000]);
});

test("at least half of each delay is waited, whatever chance says", () => {
  const reconnect = new Reconnect({ ...options, random: () => 0 });
  assert.deepEqual(delays(reconnect, 3), [250, 500, 1_000]);
});

test("where an operator has answered that does not lead, it is not waited long", () => {
  const reconnect = new Reconnect(options);
  assert.deepEqual(
    delays(reconnect, 6, () => reconnect.answered()),
    [500, 1_000, 2_000, 4_000, 4_000, 4_000],
  );
  assert.equal(reconnect.nextDelay(), 30_000, "once none answers, it is");
});

test("the longest delay is what the operator finds long enough, within bounds", () => {
  const reconnect = new Reconnect(options);
  reconnect.succeeded(2_000);
  assert.deepEqual(delays(reconnect, 4), [500, 1_000, 2_000, 2_000]);
  reconnect.answered();
  assert.equal(reconnect.nextDelay(), 2_000);
  reconnect.succeeded(1);
  assert.deepEqual(delays(reconnect, 3), [500, 500, 500]);
  reconnect.succeeded(3_600_000);
  assert.deepEqual(delays(reconnect, 8).at(-1), 30_000);
  reconnect.succeeded();
  assert.deepEqual(delays(reconnect, 8).at(-1), 30_000, "an operator of an earlier version does not say");
});

test("a leader is gone to at once, a few times between two waits", () => {
  const reconnect = new Reconnect(options);
  const asked = () => Array.from({ length: 4 }, () => reconnect.mayRedirect());
  assert.deepEqual(asked(), [true, true, true, false]);
  // While the old leader's Lease ran, all were sent to it in vain; the new one may be gone to none the less.
  reconnect.nextDelay();
  assert.deepEqual(asked(), [true, true, true, false]);
});
