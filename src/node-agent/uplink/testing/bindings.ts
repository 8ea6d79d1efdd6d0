/** Bindings and states for tests. */
import { create } from "@bufbuild/protobuf";
import { type Binding, BindingSchema, PolicyKind, type State } from "../../../gen/agent_pb.js";
import type { RuleTable } from "../../../policy/table/tables.ts";
import { HeldState } from "../../../protocol/held-state.ts";
import { type HeldHashes, sentTables, stateMessages } from "../../../protocol/state-message.ts";

export const NOTHING_HELD: HeldHashes = { bindings: null, tables: new Set(), rulesets: new Set(), enforcing: null };

/** The binding of a pod `default/<uid>`. */
export function testBinding(podUid: string, table: RuleTable | null, changes: Partial<Binding> = {}): Binding {
  return create(BindingSchema, {
    podUid,
    namespace: "default",
    name: podUid,
    labels: { app: podUid },
    policy: table === null ? PolicyKind.UNRESTRICTED : PolicyKind.TABLE,
    tableHash: table?.hash ?? "",
    ...changes,
  } as Binding);
}

/** All that is needed to come to these bindings. */
export function fullState(revision: bigint, tables: readonly RuleTable[], bindings: readonly Binding[]): State[] {
  const state = {
    tables: sentTables(tables),
    enforcing: null,
    bindings: new Map(bindings.map((binding) => [binding.podUid, binding])),
  };
  return stateMessages(NOTHING_HELD, state, revision);
}

export function heldState(tables: readonly RuleTable[], bindings: readonly Binding[]): HeldState {
  return HeldState.EMPTY.applied(fullState(1n, tables, bindings));
}
