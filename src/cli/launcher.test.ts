/** `bin/portcullis` where nothing is set up: one line that says what to do. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const root = mkdtempSync(join(tmpdir(), "pc-launcher-"));
after(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, "bin"));
copyFileSync(join(import.meta.dirname, "../../bin/portcullis"), join(root, "bin/portcullis"));

/** Runs it with a `node` on the search path that says this version; null: with none. */
function launched(version: string | null) {
  const path = mkdtempSync(join(root, "path-"));
  for (const tool of ["basename", "dirname", "readlink"]) {
    writeFileSync(join(path, tool), `#!/bin/sh\nexec /usr/bin/${tool} "$@"\n`);
    chmodSync(join(path, tool), 0o755);
  }
  if (version !== null) {
    writeFileSync(join(path, "node"), `#!/bin/sh\n[ "$1" = --version ] && echo ${version} && exit 0\necho "runs $*"\n`);
    chmodSync(join(path, "node"), 0o755);
  }
  const { status, stdout, stderr } = spawnSync(join(root, "bin/portcullis"), ["status"], { env: { PATH: path } });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

test("without dependencies, without Node and with an old one it says what to do", () => {
  for (const [version, dependencies] of [
    [null, false],
    ["v24.1.0", false],
    [null, true],
    ["v20.19.0", true],
  ] as const) {
    rmSync(join(root, "node_modules"), { recursive: true, force: true });
    if (dependencies) mkdirSync(join(root, "node_modules"));
    const { status, stdout, stderr } = launched(version);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(stderr, /^portcullis: .* is not set up .*: run `make setup` there\n$/);
    assert.ok(stderr.includes(version ?? "no Node"));
  }
});

test("a Node that is new enough does, where npm has not installed one", () => {
  mkdirSync(join(root, "node_modules"), { recursive: true });
  assert.match(launched("v24.1.0").stdout, /^runs .*main\.ts status$/m);
});
