/** One revision, as a session sends it. */
import type { State } from "../../protocol/agent_pb.js";
import type { NodeState } from "../../protocol/state-message.ts";

/** With the tables that the bindings lead to, and no others. */
export function snapshot({ bindings, tables }: NodeState): NodeState {
  const used = new Map<string, NonNullable<ReturnType<typeof tables.get>>>();
  for (const { tableHash } of bindings.values()) {
    const table = tables.get(tableHash);
    if (table !== undefined) used.set(tableHash, table);
  }
  return { bindings, tables: used };
}

/** Roughly, without making the bytes. */
export function sizeOf({ rulesets, tables, bindings, removed }: State): number {
  const contents = [...rulesets, ...tables].reduce((sum, { content }) => sum + content.length + 70, 0);
  return contents + bindings.length * 300 + removed.length * 40;
}
