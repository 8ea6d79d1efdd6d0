/** Records of an executable, or of a script whatever its interpreter: `/usr/bin/curl`, or `curl` wherever it lies; `*` stands for any text. */
import { isTraffic } from "../record.ts";
import { namePattern } from "./pattern.ts";
import type { RecordFilter } from "./record-filter.ts";

export function isOfProcess(paths: readonly string[]): RecordFilter {
  const matches = namePattern(paths.map((path) => (path.startsWith("/") || path.startsWith("*") ? path : `*/${path}`)));
  return (record) => {
    if (!isTraffic(record) || record.process === null) return false;
    const { path, script } = record.process;
    return (path !== undefined && matches(path)) || (script !== undefined && matches(script));
  };
}
