import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTable } from "../compile/compile.ts";
import { egressProfile, processOf, profileOf } from "../testing/profiles.ts";
import { applyRulesetDelta, serializeRulesetDelta } from "./ruleset-delta.ts";
import { parseRuleset, parseSkeleton, rulesetsOf, serializeRuleset, serializeSkeleton } from "./serialize-parts.ts";

const compile = (cidr4: string[], more = {}) => {
  const table = compileTable([egressProfile({ cidr4, l4: { protocols: ["tcp"] }, ...more })], { searchDomains: [] });
  const [ruleset] = rulesetsOf(table).values();
  if (ruleset === undefined) throw new Error("the profile has rules");
  return { table, ruleset };
};

test("a table in parts is the same table", () => {
  const egress = { cidr4: ["10.0.0.0/8"], fqdns: ["*.example.com"], l4: { protocols: ["any" as const] } };
  const spec = {
    default: { ingress: {} },
    processes: [processOf("/bin/a", { egress }), processOf("/bin/b", { egress })],
  };
  const table = compileTable([profileOf("web", spec)], { searchDomains: ["svc.local"] });
  const parts = new Map(
    [...rulesetsOf(table)].map(([hash, ruleset]) => [hash, parseRuleset(serializeRuleset(ruleset), hash)]),
  );
  assert.equal(parts.size, 2);
  assert.deepEqual(
    parseSkeleton(serializeSkeleton(table), (hash) => parts.get(hash)),
    table,
  );
});

test("a part that is missing or has another hash is refused", () => {
  const { table, ruleset } = compile(["10.0.0.0/8"]);
  assert.throws(() => parseSkeleton(serializeSkeleton(table), () => undefined), /is missing/);
  assert.throws(() => parseRuleset(serializeRuleset(ruleset).replace("10.0.0.0", "11.0.0.0"), ruleset.hash), {
    code: "PC_TABLE_FORMAT",
  });
});

test("a delta of peers leads to the same rule set, in the same order", () => {
  const many = Array.from({ length: 50 }, (_, index) => `10.0.${index}.0/24`);
  const base = compile(many).ruleset;
  const next = compile([...many.slice(3), "9.0.0.1/32", "10.0.7.0/30"]).ruleset;
  const delta = serializeRulesetDelta(base, next);
  assert.ok(delta !== null && delta.length < serializeRuleset(next).length / 4);
  assert.deepEqual(applyRulesetDelta(base, delta, next.hash), next);
  assert.throws(() => applyRulesetDelta(next, delta, base.hash), { code: "PC_TABLE_FORMAT" });
});

test("there is no delta where more than peers differ, or most of them", () => {
  const base = compile(["10.0.0.0/8", "11.0.0.0/8"]).ruleset;
  assert.equal(serializeRulesetDelta(base, compile(["12.0.0.0/8", "13.0.0.0/8"]).ruleset), null);
  assert.equal(
    serializeRulesetDelta(base, compile(["10.0.0.0/8", "11.0.0.0/8"], { l4: { protocols: ["udp"] } }).ruleset),
    null,
  );
});
