/** On the real kernel, with pins of its own and no interface: tables, numbers, scripts, and what is left in the end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { detachAll, NOTHING_REMOVED, removedSomething } from "./detach.ts";
import { Enforcement } from "./enforcement.ts";
import { DEFAULT_SETTINGS } from "./tables/settings.ts";
import { SILENT, testTable } from "./testing/workloads.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-en-"));
const pinRoot = `/sys/fs/bpf/pc-en-test-${process.pid}`;
const stateDirectory = join(folder, "state");
const open = () => new Enforcement({ pinRoot, stateDirectory, settings: DEFAULT_SETTINGS, log: SILENT });

after(() => {
  detachAll(pinRoot, stateDirectory);
  rmSync(folder, { recursive: true, force: true });
});

/** 5,000 prefixes, more than fit into one batch. */
const manyPrefixes = Array.from({ length: 5000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`);

test("a table of thousands of prefixes is written to the kernel, found again, and taken away whole", () => {
  const table = testTable("/usr/bin/absent", manyPrefixes);
  let id = 0;
  {
    using enforcement = open();
    id = enforcement.store.hold(table).id;
    assert.equal(enforcement.maps.peers4.count(), manyPrefixes.length);
    assert.equal(enforcement.maps.binaries.count(), 1);
    enforcement.enforcer.reconcile([]);
  }
  using next = open();
  assert.equal(next.store.find(id)?.table.hash, table.hash, "the next agent has taken it over");
  next.store.collect(0, Date.now() + 1);
  const { peers4, ports, rulesets, binaries } = next.maps;
  assert.deepEqual(
    [peers4, ports, rulesets, binaries].map((map) => map.count()),
    [0, 0, 0, 0],
  );
});

test("every process that was there first has its entry, this one under the path of Node's own file", () => {
  using enforcement = open();
  const entry = enforcement.maps.processes.get(process.pid);
  assert.equal(enforcement.paths.text(entry?.pathId ?? 0), process.execPath);
});

test("a script is itself only if it was executed itself", async () => {
  using enforcement = open();
  const script = join(folder, "script.sh");
  // The shell must stay, or its last command takes its place.
  writeFileSync(script, "#!/bin/sh\nsleep 5\nexit 0\n", { mode: 0o755 });
  const children = [spawn(script), spawn("/bin/sh", [script])];
  try {
    await sleep(200);
    const scripts = children.map(({ pid = 0 }) => {
      const id = enforcement.maps.processes.get(pid)?.scriptId ?? 0;
      return enforcement.paths.text(id);
    });
    assert.deepEqual(scripts, [script, null]);
  } finally {
    for (const child of children) child.kill("SIGKILL");
  }
});

test("paths that nothing refers to are removed, those of living processes and tables are not", () => {
  using enforcement = open();
  const { paths, maps, store } = enforcement;
  const listed = store.hold(testTable("/usr/bin/listed"));
  paths.intern("/tmp/nobody");
  const mine = maps.processes.get(process.pid)?.pathId ?? 0;
  const inUse = new Set([mine, paths.intern("/usr/bin/listed")]);
  assert.ok(
    paths.collect(() => new Set([...inUse, ...[...maps.processes.entries()].map(([, { pathId }]) => pathId)])) > 0,
  );
  assert.equal(maps.paths.get({ text: "/tmp/nobody" }), undefined);
  assert.equal(paths.text(mine), process.execPath);
  store.release(listed.id);
});

test("detaching leaves nothing, and says so the second time", () => {
  const removal = detachAll(pinRoot, stateDirectory);
  assert.ok(removedSomething(removal));
  assert.ok(removal.links >= 16);
  assert.deepEqual([existsSync(pinRoot), existsSync(stateDirectory)], [false, false]);
  assert.deepEqual(detachAll(pinRoot, stateDirectory), NOTHING_REMOVED);
});
