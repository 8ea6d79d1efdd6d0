import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { isPlainFile, ListedFiles, resolveInRoot } from "./files.ts";

let root = "";

before(() => {
  root = mkdtempSync(join(tmpdir(), "pc-files-"));
  mkdirSync(join(root, "usr/bin"), { recursive: true });
  mkdirSync(join(root, "etc"));
  writeFileSync(join(root, "usr/bin/busybox"), "");
  symlinkSync("usr/bin", join(root, "bin"));
  symlinkSync("/bin/busybox", join(root, "usr/bin/wget"));
  symlinkSync("../../../../bin/busybox", join(root, "usr/bin/nc"));
  symlinkSync("loop", join(root, "loop"));
});
after(() => rmSync(root, { recursive: true, force: true }));

test("a link is followed inside the root, an absolute one too", () => {
  assert.equal(resolveInRoot(root, "/bin/wget"), "/usr/bin/busybox");
});

test("no link leads out of the root", () => {
  assert.equal(resolveInRoot(root, "/bin/nc"), "/usr/bin/busybox");
});

test("a path that leads nowhere stays as it was listed", () => {
  assert.equal(resolveInRoot(root, "/bin/absent"), "/bin/absent");
  assert.equal(resolveInRoot(root, "/loop/x"), "/loop/x");
});

test("only a path without links is the file itself", () => {
  assert.equal(isPlainFile(root, "/usr/bin/busybox"), true);
  assert.equal(isPlainFile(root, "/bin/busybox"), false);
  assert.equal(isPlainFile(root, "/usr/bin/wget"), false);
  assert.equal(isPlainFile(root, "/usr/bin/../bin/busybox"), false);
  assert.equal(isPlainFile(root, "/usr/bin"), false);
  assert.equal(isPlainFile(root, "/usr/bin/absent"), false);
});

test("a listed path is looked up once: leading it to another file later changes nothing", () => {
  const files = new ListedFiles(root);
  assert.equal(files.fileOf("/bin/wget"), "/usr/bin/busybox");
  assert.equal(files.fileOf("/etc/later"), "/etc/later");
  symlinkSync("/usr/bin/busybox", join(root, "etc/later"));
  assert.equal(files.fileOf("/etc/later"), "/etc/later");
  assert.equal(new ListedFiles(root, files.entries()).fileOf("/etc/later"), "/etc/later");
  assert.equal(new ListedFiles(root).fileOf("/etc/later"), "/usr/bin/busybox");
});
