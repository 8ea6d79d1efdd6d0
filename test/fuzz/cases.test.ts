/** Cases that showed a difference once. The kernel and the reference evaluator have to agree on them for good. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { ClassifierHarness } from "../harness/classifier-harness.ts";
import type { FuzzCase } from "./case.ts";
import { compareCase } from "./compare/compare.ts";

const CASES = join(import.meta.dirname, "cases");
const harness = new ClassifierHarness({ name: "cases" });
after(() => harness[Symbol.dispose]());

for (const name of readdirSync(CASES).filter((file) => file.endsWith(".json"))) {
  const kept = JSON.parse(readFileSync(join(CASES, name), "utf8")) as FuzzCase;
  test(`${name}: ${kept.about ?? "differed once"}`, () => {
    const comparison = compareCase(harness, kept);
    assert.ok(comparison !== null, "its profiles are refused now: write the case anew");
    assert.equal(comparison.difference, null);
  });
}
