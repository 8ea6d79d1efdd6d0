/**
 * Fuzzing with real sockets: whose a packet is that leaves, and who gets one that comes in. A slice with a fixed seed, in which
 * kernel and reference evaluator agree; and judges with a fault each, every one of which is found.
 */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { LiveHarness } from "../harness/live-harness.ts";
import { fuzz, socketWorld } from "./session.ts";
import { SOCKET_MUTANTS } from "./socket-mutants.ts";
import { GATEWAYS, OWN_ADDRESSES } from "./world.ts";

const live = new LiveHarness({ name: "test", addresses: OWN_ADDRESSES, ...GATEWAYS });
after(() => live[Symbol.dispose]());

const SEED = 40_000;
const SLICE_MS = 8_000;
/** Enough for each of them, on a machine that is busy too. */
const MUTANT_CASES = 600;
const MUTANT_MS_MAX = 150_000;

test("kernel and reference evaluator agree on whose every packet is, and on who gets it", (context) => {
  const { found, cases, packets } = fuzz(socketWorld(live), { seed: SEED, milliseconds: SLICE_MS });
  context.diagnostic(`${cases} cases, ${packets} packets`);
  assert.equal(found, null, found ? `seed ${found.seed}: ${JSON.stringify(found, null, 2)}` : "");
  assert.ok(packets > 100, `only ${packets} packets in ${SLICE_MS} ms`);
});

for (const [fault, judge] of Object.entries(SOCKET_MUTANTS)) {
  test(`a wrong judge of sockets is found: ${fault}`, (context) => {
    const { found, cases, packets } = fuzz(socketWorld(live), {
      seed: SEED,
      milliseconds: MUTANT_MS_MAX,
      cases: MUTANT_CASES,
      judge,
      reduce: false,
    });
    context.diagnostic(`${cases} cases`);
    assert.ok(found !== null, `not found in ${packets} packets`);
  });
}
