import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { StateUnreadableError } from "../errors.ts";
import { testTable } from "../testing/workloads.ts";
import { type AgentState, defaultStateDirectory, freshState, loadState, STATE_FILE, saveState } from "./state.ts";

const PINS = "/sys/fs/bpf/test";
let folder = mkdtempSync(join(tmpdir(), "pc-state-"));
const used = [folder];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pc-state-"));
  used.push(folder);
});
after(() => {
  for (const path of used) rmSync(path, { recursive: true, force: true });
});

const state: AgentState = {
  ...freshState(PINS, 1),
  tables: [{ id: 4, table: testTable("/bin/a"), rulesets: { abc: 1 } }],
};

test("the state comes back as it was, tables and all, and only root can read it", () => {
  saveState(folder, state);
  assert.deepEqual(loadState(folder, PINS), state);
  assert.equal(statSync(join(folder, STATE_FILE)).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), [STATE_FILE]);
});

test("a table is made to text once: what another workload's change costs does not grow with it", () => {
  let looks = 0;
  const large = testTable("/bin/a");
  const counted = Object.defineProperty({ ...large }, "binaries", {
    enumerable: true,
    get: () => {
      looks += 1;
      return large.binaries;
    },
  });
  const tables = [{ id: 4, table: counted, rulesets: {} }];
  saveState(folder, { ...state, tables });
  const first = looks;
  saveState(folder, { ...state, tables, nextWorkloadId: 7 });
  assert.ok(first > 0);
  assert.equal(looks, first);
  assert.equal(loadState(folder, PINS)?.nextWorkloadId, 7);
});

test("no state is null, not an error", () => {
  assert.equal(loadState(folder, PINS), null);
});

test("damaged, edited, foreign and outdated states are refused", () => {
  saveState(folder, state);
  const path = join(folder, STATE_FILE);
  const text = readFileSync(path, "utf8");
  const broken = {
    "cut off": text.slice(0, -20),
    edited: text.replace('"10.0.0.0"', '"11.0.0.0"'),
    outdated: text.replace('"version":1', '"version":0'),
    "with an even multiplier": text.replace(/"nameHashMultiplier":"[0-9a-f]+"/, '"nameHashMultiplier":"10"'),
  };
  for (const [what, content] of Object.entries(broken)) {
    assert.notEqual(content, text, what);
    writeFileSync(path, content);
    assert.throws(() => loadState(folder, PINS), StateUnreadableError, what);
  }
  writeFileSync(path, text);
  assert.throws(() => loadState(folder, "/sys/fs/bpf/other"), StateUnreadableError);
});

test("multipliers are odd and differ", () => {
  const [one, other] = [freshState(PINS, 1).nameHashMultiplier, freshState(PINS, 1).nameHashMultiplier];
  assert.equal(one & 1n, 1n);
  assert.notEqual(one, other);
});

test("each pin root has a state of its own", () => {
  assert.equal(defaultStateDirectory("/sys/fs/bpf/portcullis"), "/run/portcullis");
  assert.equal(defaultStateDirectory("/sys/fs/bpf/other"), "/run/other");
});
