/** Records of nodes, by their names; `*` stands for any text. */

import { namePattern } from "./pattern.ts";
import type { RecordFilter } from "./record-filter.ts";

export function isOfNode(names: readonly string[]): RecordFilter {
  const matches = namePattern(names);
  return ({ node }) => node !== undefined && matches(node);
}
