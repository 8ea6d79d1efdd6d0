/** A slice of fuzzing with a fixed seed, for every run of the tests; `make fuzz` is the long one. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ClassifierRig } from "../rig/classifier-rig.ts";
import { fuzz, packetWorld } from "./session.ts";

const rig = new ClassifierRig({ name: "slice" });
after(() => rig[Symbol.dispose]());

const SEED = 20_000_000;
const MILLISECONDS = 10_000;

test("kernel and reference evaluator agree on every packet, and on what they remember", (context) => {
  const { found, cases, packets, elapsedMs } = fuzz(packetWorld(rig), { seed: SEED, milliseconds: MILLISECONDS });
  context.diagnostic(`${cases} cases, ${packets} packets, ${Math.round((packets / elapsedMs) * 1000)} executions/s`);
  assert.equal(found, null, found ? `seed ${found.seed}: ${JSON.stringify(found, null, 2)}` : "");
  assert.ok(packets > 1000, `only ${packets} packets in ${MILLISECONDS} ms`);
});
