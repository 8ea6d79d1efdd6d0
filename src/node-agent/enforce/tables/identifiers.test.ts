import assert from "node:assert/strict";
import { test } from "node:test";
import { CapacityError } from "../errors.ts";
import { Identifiers } from "./identifiers.ts";

const small = () => new Identifiers({ name: "rulesets", first: 1, last: 3 });

test("the same content has one number for as long as somebody holds it", () => {
  const ids = small();
  assert.deepEqual(ids.hold("a"), { id: 1, fresh: true });
  assert.deepEqual(ids.hold("a"), { id: 1, fresh: false });
  assert.equal(ids.release("a"), null);
  assert.equal(ids.find("a"), 1);
  assert.equal(ids.release("a"), 1);
  assert.equal(ids.find("a"), null);
});

test("a number is not handed out again before it is freed, and then as late as possible", () => {
  const ids = small();
  ids.hold("a");
  ids.release("a");
  assert.equal(ids.hold("b").id, 2);
  ids.free(1);
  assert.equal(ids.hold("c").id, 3);
  assert.equal(ids.hold("d").id, 1);
});

test("no number left is an error, not a number that is in use", () => {
  const ids = small();
  for (const content of ["a", "b", "c"]) ids.hold(content);
  assert.throws(() => ids.hold("d"), CapacityError);
});

test("adopted and reserved numbers are not handed out", () => {
  const ids = small();
  ids.adopt("a", 2);
  ids.reserve(3);
  assert.deepEqual(ids.hold("a"), { id: 2, fresh: false });
  assert.equal(ids.hold("b").id, 1);
  assert.throws(() => ids.hold("c"), CapacityError);
});
