/** Records of one container, of those that the pod's profiles tell apart. */
import type { RecordFilter } from "./filter.ts";

export function hasContainer(name: string): RecordFilter {
  return ({ process }) => process?.container === name;
}
