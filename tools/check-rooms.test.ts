import assert from "node:assert/strict";
import { test } from "node:test";
import { declaredFlags, flagBreaches, folderBreaches, importBreaches } from "./check-rooms.ts";

test("a room may import itself and what the table lists", () => {
  const text = 'import { a } from "./b.ts";\nimport type { C } from "../../api/types.ts";\n';
  assert.deepEqual(importBreaches("policy/table/tables.ts", text), []);
});

test("an import through a wall is a breach, also of a type, and when it is done late", () => {
  const type = 'import type { Session } from "../operator/distribution/session.ts";';
  assert.match(
    importBreaches("node-agent/agent.ts", type)[0] ?? "",
    /operator\/distribution\/session.ts, which node-agent/,
  );
  const late = 'const { run } = await import("../cli/run/run.ts");';
  assert.equal(importBreaches("node-agent/agent.ts", late).length, 1);
});

test("a room within a room has walls of its own", () => {
  const text = 'import { Workload } from "../discovery/workload.ts";';
  assert.equal(importBreaches("node-agent/netlink/links.ts", text).length, 1);
  assert.deepEqual(importBreaches("node-agent/sandbox/private-link.ts", text), []);
});

test("a package that one room keeps to itself is refused elsewhere", () => {
  assert.equal(importBreaches("node-agent/kernel/maps.ts", 'import koffi from "koffi";').length, 1);
  assert.deepEqual(importBreaches("node-agent/ffi/libc.ts", 'import koffi from "koffi";'), []);
});

test("pure rooms do no input or output", () => {
  assert.equal(importBreaches("policy/compile/compile.ts", 'import { readFileSync } from "node:fs";').length, 1);
  assert.deepEqual(importBreaches("policy/compile/compile.ts", 'import { createHash } from "node:crypto";'), []);
});

test("a folder of too many files is named, unless there is a reason for it", () => {
  const files = Array.from({ length: 17 }, (_, index) => `bench/file-${index}.ts`);
  assert.match(folderBreaches(files)[0] ?? "", /^bench has 17 files/);
  assert.deepEqual(folderBreaches(files.slice(1)), []);
  assert.deepEqual(folderBreaches(files.map((file) => file.replace("bench", "docs/adr"))), []);
});

test("a flag is named by the room that declares it, and by no other; flags of other programs are not ours", () => {
  const declaration = 'new Option("-r, --pin-root <path>", "x"); command.option(\n  "--gate <cgroup>")';
  const flags = declaredFlags([declaration]);
  assert.deepEqual([...flags], ["--pin-root", "--gate"]);
  const text = '"work on another --pin-root"; spawn("unshare", ["--mount"])';
  assert.match(
    flagBreaches("node-agent/enforce/errors.ts", text, flags)[0] ?? "",
    /names --pin-root, which only src\/cli/,
  );
  assert.equal(flagBreaches("node-agent/enforce/errors.ts", text, flags).length, 1);
  assert.deepEqual(flagBreaches("cli/detach.ts", text, flags), []);
});
