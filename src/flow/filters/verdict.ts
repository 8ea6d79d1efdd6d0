/** Records of packets that were judged in one of these ways. */
import { VERDICTS } from "../../api/reasons.ts";
import { isTraffic } from "../record.ts";
import { ofList } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

export function hasVerdict(values: readonly string[]): RecordFilter {
  const verdicts = ofList("verdict", values, VERDICTS);
  return (record) => isTraffic(record) && verdicts.has(record.verdict);
}
