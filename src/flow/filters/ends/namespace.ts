/** Records of the pods of a namespace. */
import type { RecordFilter } from "../filter.ts";
import { hasEnd, type Side } from "./end.ts";

export function isOfNamespace(side: Side): (names: readonly string[]) => RecordFilter {
  return (names) => hasEnd(side, ({ workload }) => workload !== null && names.includes(workload.namespace));
}
