/** Records of packets that were judged in one of these ways. */
import type { Verdict } from "../../api/reasons.ts";
import type { RecordFilter } from "./filter.ts";

export function hasVerdict(verdicts: readonly Verdict[]): RecordFilter {
  return ({ verdict }) => verdicts.includes(verdict);
}
