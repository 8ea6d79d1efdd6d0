import assert from "node:assert/strict";
import { test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Binding, BindingSchema, PolicyKind, type State, StateSchema } from "../gen/agent_pb.js";
import { compileTable } from "../policy/compile/compile.ts";
import { serializeRulesetDelta } from "../policy/serialize/ruleset-delta.ts";
import { rulesetsOf } from "../policy/serialize/serialize-parts.ts";
import type { RuleTable } from "../policy/table/tables.ts";
import { egressProfile } from "../policy/testing/profiles.ts";
import { HeldState, StateParts } from "./held-state.ts";
import { heldAfter, type NodeState, sentTables, stateMessages } from "./state-message.ts";

const NOTHING = { bindings: null, tables: new Set<string>(), rulesets: new Set<string>(), enforcing: null };

const addresses = (count: number) => Array.from({ length: count }, (_, i) => `10.${i >> 8}.${i & 255}.1/32`);

function tableFor(cidr4: string[]): RuleTable {
  return compileTable([egressProfile({ cidr4, l4: { protocols: ["tcp"] } })], { searchDomains: [] });
}

function bindingOf(podUid: string, tableHash: string): Binding {
  const policy = tableHash === "" ? PolicyKind.UNRESTRICTED : PolicyKind.TABLE;
  return create(BindingSchema, {
    podUid,
    namespace: "default",
    name: podUid,
    labels: { b: "1", a: "2" },
    policy,
    tableHash,
  });
}

function stateOf(tables: RuleTable[], bindings: Binding[]): NodeState {
  return {
    tables: sentTables(tables),
    enforcing: null,
    bindings: new Map(bindings.map((binding) => [binding.podUid, binding])),
  };
}

/** As it goes over the wire. */
const sent = (states: State[]) => states.map((state) => fromBinary(StateSchema, toBinary(StateSchema, state)));

test("a full state, then deltas, lead an agent to what is wanted", () => {
  const one = tableFor(addresses(10));
  const first = stateOf([one], [bindingOf("a", one.hash), bindingOf("b", "")]);
  const held = HeldState.EMPTY.applied(sent(stateMessages(NOTHING, first, 1n)));
  assert.deepEqual(held.bindings.get("a"), first.bindings.get("a"));
  assert.deepEqual(held.tables.get(one.hash), one);

  const two = tableFor(addresses(3));
  const second = stateOf([one, two], [bindingOf("a", two.hash), bindingOf("c", two.hash)]);
  const messages = sent(stateMessages(heldAfter(first), second, 2n));
  assert.equal(messages[0]?.full, false);
  assert.deepEqual(messages[0]?.removed, ["b"]);
  assert.equal(messages[0]?.tables.length, 1);
  const next = held.applied(messages);
  assert.deepEqual([...next.tables.keys()], [two.hash]);
  assert.deepEqual([...next.bindings.keys()].sort(), ["a", "c"]);
});

test("what did not change is not sent", () => {
  const table = tableFor(addresses(10));
  const state = stateOf([table], [bindingOf("a", table.hash)]);
  const [message] = stateMessages(heldAfter(state), stateOf([table], [bindingOf("a", table.hash)]), 3n);
  assert.deepEqual([message?.bindings.length, message?.tables.length, message?.rulesets.length], [0, 0, 0]);
});

test("one address of many goes as a delta", () => {
  const before = tableFor(addresses(500));
  const after = tableFor(addresses(501));
  const [old, fresh] = [before, after].map((table) => [...rulesetsOf(table).values()][0]);
  assert.ok(old && fresh);
  const first = stateOf([before], [bindingOf("a", before.hash)]);
  const second = stateOf([after], [bindingOf("a", after.hash)]);
  const content = Buffer.from(serializeRulesetDelta(old, fresh) ?? "");
  for (const table of second.tables.values()) {
    for (const ruleset of table.rulesets.values()) ruleset.delta = { baseHash: old.hash, content };
  }
  const messages = stateMessages(heldAfter(first), second, 2n);
  assert.equal(messages[0]?.rulesets[0]?.baseHash, old.hash);
  assert.ok((messages[0]?.rulesets[0]?.content.length ?? 1000) < 200);
  const held = HeldState.EMPTY.applied(stateMessages(NOTHING, first, 1n));
  assert.deepEqual(held.applied(sent(messages)).tables.get(after.hash), after);
});

test("a large state goes in parts, and counts once the last is there", () => {
  const tables = Array.from({ length: 8 }, (_, index) => tableFor(addresses(2000 + index)));
  const state = stateOf(
    tables,
    tables.map((table, index) => bindingOf(`p${index}`, table.hash)),
  );
  const messages = stateMessages(NOTHING, state, 1n);
  assert.ok(messages.length > 1);
  assert.deepEqual(
    messages.map(({ more }) => more),
    messages.map((_, index) => index < messages.length - 1),
  );
  const parts = new StateParts();
  const complete = messages.map((message) => parts.add(message));
  assert.ok(complete.slice(0, -1).every((item) => item === null));
  assert.equal(HeldState.EMPTY.applied(complete.at(-1) ?? []).tables.size, 8);
});

test("a delta upon something else is refused by its hash, and a missing table by its name", () => {
  const table = tableFor(addresses(2));
  const first = stateOf([table], [bindingOf("a", table.hash)]);
  const second = stateOf([table], [bindingOf("a", table.hash), bindingOf("b", "")]);
  const delta = stateMessages(heldAfter(first), second, 2n);
  assert.throws(() => HeldState.EMPTY.applied(delta), { code: "PC_STATE_HASH" });
  const unsent = stateMessages({ ...NOTHING, tables: new Set([table.hash]) }, first, 1n);
  assert.throws(() => HeldState.EMPTY.applied(unsent), { code: "PC_STATE_FORMAT" });
});
