/** Records of nodes, by their names; `*` stands for any text. */
import type { RecordFilter } from "./filter.ts";
import { namePattern } from "./pattern.ts";

export function isOfNode(names: readonly string[]): RecordFilter {
  const matches = namePattern(names);
  return ({ node }) => node !== undefined && matches(node);
}
