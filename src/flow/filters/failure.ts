/** Records of TCP connections that failed in one of these ways. */
import { TCP_FAILURES } from "../record.ts";
import { ofList } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasFailure(values: readonly string[]): RecordFilter {
  const failures = ofList("failure", values, TCP_FAILURES);
  return (record) => record.type === "flow" && record.tcp?.failure !== undefined && failures.has(record.tcp.failure);
}
