/** Sizes of the command line: what is one, what is none, and how they are written. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { formatSize, parseSize } from "./sizes.ts";

test("sizes, read and written", () => {
  assert.deepEqual(["0", "512", "1KiB", "1.5Mi", "1GiB", "2Ti"].map(parseSize), [
    0,
    512,
    1024,
    1.5 * 2 ** 20,
    2 ** 30,
    2 ** 41,
  ]);
  assert.deepEqual([0, 512, 1536, 2 ** 30].map(formatSize), ["0 bytes", "512 bytes", "1.5KiB", "1GiB"]);
  for (const bad of ["", "x", "1GB", "-1", "1 GiB", "1Gi B"]) {
    assert.throws(() => parseSize(bad), { code: "PC_USAGE", message: /is not a size/ }, bad);
  }
});
