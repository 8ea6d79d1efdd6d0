/** `make demo-learn` shows what it promises, fits a terminal of 80 columns, and leaves nothing behind. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { remains } from "../stage.ts";

const COLUMNS = 80;

test("from a pod that nobody knows to a profile that is enforced, every step shows what it says, and nothing is left", () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(import.meta.dirname, "demo-learn.ts")],
    { env: { ...process.env, COLUMNS: String(COLUMNS), NO_COLOR: "1" }, encoding: "utf8" },
  );
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^ 6\/6 Enforce$/m);
  assert.match(stdout, /dropped ping +\/usr\/bin\/nc .* BinaryUnknown$/m);
  const wide = stdout.split("\n").filter((line) => line.length > COLUMNS && !/^ {5}#/.test(line));
  assert.deepEqual(wide, [], "only comments of the profile are wider");
  assert.deepEqual(remains(), []);
});
