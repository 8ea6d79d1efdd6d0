/** A slice of fuzzing with a fixed seed, for every run of the tests; `make fuzz` is the long one. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ClassifierHarness } from "../harness/classifier-harness.ts";
import { fuzz, packetWorld } from "./session.ts";

const harness = new ClassifierHarness({ name: "slice" });
after(() => harness[Symbol.dispose]());

const SEED = 20_000_000;
const MILLISECONDS = 10_000;

test("kernel and reference evaluator agree on every packet, and on what they remember", (context) => {
  const { found, cases, packets, elapsedMs } = fuzz(packetWorld(harness), { seed: SEED, milliseconds: MILLISECONDS });
  context.diagnostic(`${cases} cases, ${packets} packets, ${Math.round((packets / elapsedMs) * 1000)} executions/s`);
  assert.equal(found, null, found ? `seed ${found.seed}: ${JSON.stringify(found, null, 2)}` : "");
  assert.ok(packets > 1000, `only ${packets} packets in ${MILLISECONDS} ms`);
});
