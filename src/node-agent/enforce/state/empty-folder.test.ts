import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { removeIfEmpty } from "./empty-folder.ts";

const scratch = mkdtempSync(join(tmpdir(), "pc-empty-"));
const mounted = join(scratch, "mounted");
mkdirSync(mounted);
execFileSync("mount", ["-t", "tmpfs", "none", mounted]);
after(() => {
  execFileSync("umount", [mounted]);
  rmSync(scratch, { recursive: true });
});

test("an empty folder goes, one that is gone is no error, and one that is in use stays", () => {
  const folder = join(scratch, "folder");
  mkdirSync(folder);
  writeFileSync(join(folder, "file"), "");
  removeIfEmpty(folder);
  assert.ok(existsSync(folder));
  rmSync(join(folder, "file"));
  removeIfEmpty(folder);
  removeIfEmpty(folder);
  assert.equal(existsSync(folder), false);
});

test("a folder that a container has by a mount stays", () => {
  removeIfEmpty(mounted);
  assert.ok(existsSync(mounted));
});

test("so does one on a file system that cannot be written", () => {
  const folder = join(mounted, "folder");
  mkdirSync(folder);
  execFileSync("mount", ["-o", "remount,ro", mounted]);
  removeIfEmpty(folder);
  assert.ok(existsSync(folder));
});
