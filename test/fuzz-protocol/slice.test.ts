/** A slice of fuzzing what the network reaches, with a fixed seed; `make fuzz-protocol` is the long one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzProtocols } from "./session.ts";

const SEED = 7_000_000;
const MILLISECONDS = 8_000;

test("nothing that comes in from the network does harm beyond its own connection", async (context) => {
  const { inputs, found } = await fuzzProtocols(SEED, MILLISECONDS);
  context.diagnostic(`${inputs} inputs`);
  assert.equal(found, null);
  assert.ok(inputs > 100, `only ${inputs} inputs`);
});
