/** Names with what is so of them, below each other: `State:       enforced`. */
import { tableLines } from "./table.ts";

/** So that the values of several lists of facts stand below each other. */
const NAME_WIDTH = "Interfaces:".length;

/** Lines of facts, values folded to the width. An empty name goes on with the fact above. */
export function factLines(facts: readonly (readonly [string, string])[], width: number, indent = ""): string[] {
  const rows = facts.map(([name, value]) => [(name === "" ? "" : `${name}:`).padEnd(NAME_WIDTH), value]);
  return tableLines(rows, { fits: ["keep", "fold"], width, indent });
}
