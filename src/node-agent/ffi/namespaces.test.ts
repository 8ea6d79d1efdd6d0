import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ERRNO } from "./errno.ts";
import { inNetworkNamespace, makeNetworkNamespace, unbindNamespace } from "./namespaces.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-wl-"));
const target = join(folder, "namespace");
let namespace = -1;

function here(): number {
  return statSync("/proc/thread-self/ns/net").ino;
}

before(() => {
  writeFileSync(target, "");
  makeNetworkNamespace(target);
  namespace = openSync(target, "r");
});

after(() => {
  closeSync(namespace);
  unbindNamespace(target);
  rmSync(folder, { recursive: true });
});

test("work is done in the other namespace, and the thread is back afterwards", () => {
  const home = here();
  assert.equal(inNetworkNamespace(namespace, here), statSync(target).ino);
  assert.notEqual(home, statSync(target).ino);
  assert.equal(here(), home);
});

test("the thread is back after an error, too", () => {
  const home = here();
  const work = (): never => {
    throw new Error("stop");
  };
  assert.throws(() => inNetworkNamespace(namespace, work), /stop/);
  assert.equal(here(), home);
});

test("work that would go on later is refused", () => {
  assert.throws(() => inNetworkNamespace(namespace, async () => undefined), { code: "PC_INTERNAL" });
});

test("a file that is no network namespace cannot be entered", () => {
  const fd = openSync("/proc/self/ns/uts", "r");
  const home = here();
  assert.throws(() => inNetworkNamespace(fd, here), { errno: ERRNO.EINVAL });
  assert.equal(here(), home);
  closeSync(fd);
});
