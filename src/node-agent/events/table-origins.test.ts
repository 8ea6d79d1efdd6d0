/** What is remembered of tables for late events: whose rules they were, and not the rules. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../../policy/compile/compile.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { processOf, profileOf } from "../../policy/testing/profiles.ts";
import { profilesBehind } from "./enrich.ts";
import { RememberedTables } from "./table-origins.ts";

function tableOf(processes: number): RuleTable {
  const egress = { cidr4: ["10.0.0.0/8"], l4: { protocols: ["tcp" as const] } };
  const listed = Array.from({ length: processes }, (_, n) => processOf(`/bin/${n}`, { egress }));
  return compileTable([profileOf("p", { default: { egress }, processes: listed })], { searchDomains: [] });
}

test("a table that is gone names its profiles as it did, without its rules", () => {
  const [tables, table] = [new RememberedTables(), tableOf(2)];
  tables.put(1, table);
  const origins = tables.get(1);
  for (const binaryId of [0, 1, 2, 3]) {
    const record = { binaryId, direction: 0, mask: 1n };
    assert.deepEqual(profilesBehind(origins, record), profilesBehind(table, record));
  }
  for (const sides of [origins?.default, ...(origins?.binaries ?? [])]) {
    assert.deepEqual(Object.keys(sides?.egress ?? {}), ["blocks"]);
  }
});

test("many tables, or some that have many processes, are forgotten, the oldest first", () => {
  const [few, large, tables] = [tableOf(1), tableOf(30_000), new RememberedTables()];
  for (let id = 1; id <= 1_000; id += 1) tables.put(id, few);
  assert.deepEqual([tables.get(1), tables.get(744)], [null, null]);
  assert.ok(tables.get(745) !== null);
  for (let id = 1_001; id <= 1_003; id += 1) tables.put(id, large);
  assert.deepEqual([tables.get(1_000), tables.get(1_001)], [null, null]);
  assert.ok(tables.get(1_002) === null || tables.get(1_003) !== null);
  assert.ok(tables.get(1_003) !== null);
});
