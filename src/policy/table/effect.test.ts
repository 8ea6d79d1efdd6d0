import assert from "node:assert/strict";
import { test } from "node:test";
import { effectOf } from "../../api/types.ts";

test("only what drops violations is enforced", () => {
  assert.equal(effectOf(["enforce"]), "enforced");
  assert.equal(effectOf(["alert", "enforce", "trace-dns"]), "enforced");
  assert.equal(effectOf(["alert"]), "watching");
  assert.equal(effectOf(["alert", "trace-dns"]), "watching");
  assert.equal(effectOf([]), "watching");
  assert.equal(effectOf(["learn"]), "learning");
});
