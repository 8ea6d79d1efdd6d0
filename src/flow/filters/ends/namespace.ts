/** Ends that are pods of a namespace. */
import type { EndTest } from "./end.ts";

export function isOfNamespace(names: readonly string[]): EndTest {
  return ({ workload }) => workload !== null && names.includes(workload.namespace);
}
