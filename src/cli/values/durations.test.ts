import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "../../api/errors.ts";
import { formatDuration, parseDuration } from "./durations.ts";

test("lengths of time are read in every unit, and in several together", () => {
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("60s"), 60_000);
  assert.equal(parseDuration("1m30s"), 90_000);
  assert.equal(parseDuration("1.5h"), 5_400_000);
});

test("a number without a unit, and anything else, is refused with examples", () => {
  for (const text of ["60", "", "1 h", "-1s", "1d", "s"]) assert.throws(() => parseDuration(text), UsageError);
});

test("lengths are written in the largest unit that fits", () => {
  assert.deepEqual([0, 500, 60_000, 90_000, 3_600_000].map(formatDuration), ["0ms", "500ms", "1m", "90s", "1h"]);
});
