/** Moments of the command line: times, how long ago, and what is neither. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseMoment } from "./moments.ts";

test("moments", () => {
  assert.equal(parseMoment("2026-01-02T03:04:05Z"), Date.UTC(2026, 0, 2, 3, 4, 5));
  assert.equal(parseMoment("2026-01-02T03:04:05.678+01:00"), Date.UTC(2026, 0, 2, 2, 4, 5, 678));
  assert.equal(parseMoment("2026-01-02"), Date.UTC(2026, 0, 2));
  assert.ok(Math.abs(parseMoment("1h30m") - (Date.now() - 5_400_000)) < 1000);
  for (const bad of ["", "yesterday", "12:00", "2026-13-01", "5 m", "5x", "-5m", "1969-01-01"]) {
    assert.throws(() => parseMoment(bad), { code: "PC_USAGE" }, bad);
  }
});
