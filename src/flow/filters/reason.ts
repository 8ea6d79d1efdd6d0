/** Records of packets that were judged so for one of these reasons. */
import { REASONS } from "../../api/reasons.ts";
import { isTraffic } from "../record.ts";
import { ofList } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasReason(values: readonly string[]): RecordFilter {
  const reasons = ofList("reason", values, REASONS);
  return (record) => isTraffic(record) && reasons.has(record.reason);
}
