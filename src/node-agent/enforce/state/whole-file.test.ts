import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { writeWholeFile } from "./whole-file.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-whole-"));
after(() => rmSync(folder, { recursive: true }));

test("a file is written into a folder that is not there yet, for root alone", () => {
  const path = join(folder, "new/state");
  writeWholeFile(path, "one");
  assert.equal(readFileSync(path, "utf8"), "one");
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(folder, "new")), ["state"]);
});

test("what cannot be written leaves what was there, and nothing else", () => {
  const path = join(folder, "kept");
  writeWholeFile(path, "one");
  assert.throws(() => writeWholeFile(path, { length: -1 } as unknown as string));
  assert.equal(readFileSync(path, "utf8"), "one");
  assert.equal(readdirSync(folder).filter((name) => name.startsWith("kept")).length, 1);
});
