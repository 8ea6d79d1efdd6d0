/** Fuzzing has to be able to fail: evaluators with a fault are found, and what shows the fault is made small. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ClassifierHarness } from "../harness/classifier-harness.ts";
import { MUTANTS } from "./mutants.ts";
import { fuzz, packetWorld } from "./session.ts";

const harness = new ClassifierHarness({ name: "self" });
after(() => harness[Symbol.dispose]());

const SEED = 7_000_000;
/** Most are found in a second or two; a busy machine does in a minute what a quiet one does in ten seconds. */
const MILLISECONDS_MAX = 60_000;

for (const [fault, judge] of Object.entries(MUTANTS)) {
  test(`a wrong evaluator is found: ${fault}`, () => {
    const { found, packets } = fuzz(packetWorld(harness), {
      seed: SEED,
      milliseconds: MILLISECONDS_MAX,
      judge,
      reduce: false,
    });
    assert.ok(found !== null, `not found in ${packets} packets`);
  });
}

test("a case that shows a fault is reduced to the packets and rules that it takes", () => {
  const judge = MUTANTS["a comparison of ports ignores the last bit"];
  assert.ok(judge);
  const { found } = fuzz(packetWorld(harness), { seed: SEED, milliseconds: MILLISECONDS_MAX, judge });
  assert.ok(found !== null);
  const { steps, policies } = found.reduced;
  const profiles = policies.flatMap((policy) => policy.profiles);
  assert.ok(steps.length <= 2 && profiles.length === 1, `${steps.length} steps, ${profiles.length} profiles`);
});
