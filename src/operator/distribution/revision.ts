/** One revision, as a session sends it. */
import type { State } from "../../gen/agent_pb.js";

/** Roughly, without making the bytes. */
export function sizeOf({ rulesets, tables, bindings, removed }: State): number {
  const contents = [...rulesets, ...tables].reduce((sum, { content }) => sum + content.length + 70, 0);
  return contents + bindings.length * 300 + removed.length * 40;
}
