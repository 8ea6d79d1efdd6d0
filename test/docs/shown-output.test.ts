/** What a page shows of a command's output is held against what the command has printed. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { unprinted } from "./shown-output.ts";

const PRINTED = "09:10:11.123 dropped /bin/sh[77]   asks a.b\nmore\nend 5\n";

test("lines that were printed, in their order", () => {
  assert.deepEqual(unprinted("10:20:30.999 dropped /bin/sh[1] asks a.b\n…\nend …\n", PRINTED), []);
  assert.deepEqual(unprinted("… dropped … a.b", PRINTED), []);
});

test("lines that were not", () => {
  assert.deepEqual(unprinted("10:20:30.999 dropped /bin/bash[1] asks a.b\nmore", PRINTED), [
    "10:20:30.999 dropped /bin/bash[1] asks a.b",
  ]);
  assert.deepEqual(unprinted("end 5\nmore", PRINTED), ["more"], "in another order");
  assert.deepEqual(unprinted("end", PRINTED), ["end"], "less than the line");
  assert.deepEqual(unprinted("asks axb", PRINTED), ["asks axb"], "a dot is a dot");
});
