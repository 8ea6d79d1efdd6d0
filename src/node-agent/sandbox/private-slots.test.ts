import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { exclusively } from "./private-slots.ts";

const scratch = mkdtempSync(join(tmpdir(), "pc-slots-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const SLOTS = join(import.meta.dirname, "private-slots.ts");
/** Two at work at once would find the other's mark. */
const TAKE_TURNS = `
  import { closeSync, openSync, unlinkSync } from "node:fs";
  import { exclusively } from ${JSON.stringify(SLOTS)};
  const [folder, mark, rounds] = process.argv.slice(1);
  for (let round = 0; round < Number(rounds); round += 1) {
    await exclusively(folder, () => {
      closeSync(openSync(mark, "wx"));
      unlinkSync(mark);
    });
  }`;

test("the folder is there while work is done, and nothing is left when it is", async () => {
  const folder = join(scratch, "a", "private");
  assert.deepEqual(await exclusively(folder, () => readdirSync(folder)), ["lock"]);
  assert.equal(existsSync(folder), false);
});

test("work that fails leaves nothing either", async () => {
  const folder = join(scratch, "b");
  const work = () => {
    throw new Error("as told");
  };
  await assert.rejects(exclusively(folder, work), /as told/);
  assert.equal(existsSync(folder), false);
});

test("what somebody owns stays, and the lock with it", async () => {
  const folder = join(scratch, "c");
  await exclusively(folder, () => writeFileSync(join(folder, "resolv-0.conf"), ""));
  assert.deepEqual(readdirSync(folder).sort(), ["lock", "resolv-0.conf"]);
});

test("processes that make and remove the lock take turns all the same", async () => {
  const folder = join(scratch, "d");
  const arguments_ = ["--input-type=module", "-e", TAKE_TURNS, folder, join(scratch, "mark"), "100"];
  const turns = () => promisify(execFile)(process.execPath, arguments_);
  await Promise.all([turns(), turns(), turns()]);
  assert.equal(existsSync(folder), false);
});
