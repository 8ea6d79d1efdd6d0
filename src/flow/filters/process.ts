/** Records of one executable, or of one script whatever its interpreter. */
import type { RecordFilter } from "./filter.ts";

export function isOfProcess(path: string): RecordFilter {
  return ({ process }) => process?.path === path || process?.script === path;
}
