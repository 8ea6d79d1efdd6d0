/** On the real kernel, with pins of its own: an agent that finds what another version has pinned. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { silentLogger } from "../../kube/testing/silence.ts";
import { detachAll } from "../../node-agent/enforce/detach.ts";
import { Enforcement } from "../../node-agent/enforce/enforcement.ts";
import { DEFAULT_SETTINGS } from "../../node-agent/enforce/tables/settings.ts";
import { takeOver } from "./take-over.ts";

const folder = mkdtempSync(join(tmpdir(), "pc-to-"));
const pinRoot = `/sys/fs/bpf/pc-to-test-${process.pid}`;
const stateDirectory = join(folder, "state");
const lines: string[] = [];
const log = silentLogger(lines);
const start = () => new Enforcement({ pinRoot, stateDirectory, settings: DEFAULT_SETTINGS, log });
const begin = (replacePins: boolean) => {
  const { agent, lock } = takeOver({ pinRoot, stateDirectory, replacePins, log }, start);
  agent.close();
  lock.release();
};

after(() => {
  detachAll(pinRoot, stateDirectory);
  rmSync(folder, { recursive: true, force: true });
});

/** A map of another form under a name that is pinned. */
function pinAnother(name: string): void {
  const pin = join(pinRoot, name);
  assert.ok(existsSync(pin), pin);
  rmSync(pin);
  const form = ["type", "hash", "key", "4", "value", "4", "entries", "1", "name", "another"];
  execFileSync("bpftool", ["map", "create", pin, ...form]);
}

test("pins of the same form are gone on with", () => {
  begin(false);
  const before = readdirSync(join(pinRoot, "links")).sort();
  begin(true);
  assert.deepEqual(readdirSync(join(pinRoot, "links")).sort(), before);
  assert.equal(
    lines.some((line) => /taken off/.test(line)),
    false,
  );
});

test("pins of another form are left as they are, and it is said what to do", () => {
  pinAnother("limits");
  const before = readdirSync(join(pinRoot, "links")).sort();
  const expected = {
    code: "PC_PINS_INCOMPATIBLE",
    message: /stays in force until .*portcullis detach.*agent\.replacePins/,
  };
  assert.throws(() => begin(false), expected);
  assert.throws(() => begin(false), expected, "the lock was given back");
  assert.deepEqual(readdirSync(join(pinRoot, "links")).sort(), before);
});

test("or taken off, where that is asked for, and everything begins anew", () => {
  begin(true);
  assert.ok(lines.some((line) => /taken off/.test(line)));
  begin(false);
});

test("another failure takes nothing off", () => {
  const failing = () => {
    throw new Error("something else");
  };
  assert.throws(() => takeOver({ pinRoot, stateDirectory, replacePins: true, log }, failing), /something else/);
  assert.ok(existsSync(join(pinRoot, "limits")));
});
