import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ListedFiles, resolveInRoot } from "./files.ts";

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

test("a link is followed inside the root, an absolute one too", async () => {
  assert.equal(await resolveInRoot(root, "/bin/wget"), "/usr/bin/busybox");
});

test("no link leads out of the root", async () => {
  assert.equal(await resolveInRoot(root, "/bin/nc"), "/usr/bin/busybox");
});

test("a path that leads nowhere stays as it was listed", async () => {
  assert.equal(await resolveInRoot(root, "/bin/absent"), "/bin/absent");
  assert.equal(await resolveInRoot(root, "/loop/x"), "/loop/x");
});

test("a listed path of this machine is looked up once: leading it to another file later changes nothing", () => {
  const link = join(root, "etc/listed");
  const [before, after] = ["one", "two"].map((name) => realpathSync(join(root, "etc")).concat(`/${name}`)) as [
    string,
    string,
  ];
  for (const file of [before, after]) writeFileSync(file, "");
  symlinkSync(before, link);
  const files = new ListedFiles();
  assert.equal(files.fileOf(link), before);
  rmSync(link);
  symlinkSync(after, link);
  assert.equal(files.fileOf(link), before);
  assert.equal(new ListedFiles(files.entries()).fileOf(link), before);
  assert.equal(new ListedFiles().fileOf(link), after);
});
