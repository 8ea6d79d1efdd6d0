/** Which records somebody wants: each criterion is a file of its own here, and all that are named have to hold. */
import type { Direction, Verdict } from "../../api/reasons.ts";
import type { VerdictEvent } from "../record.ts";
import { hasContainer } from "./container.ts";
import { hasDirection } from "./direction.ts";
import { isOfPod } from "./pod.ts";
import { isOfProcess } from "./process.ts";
import { hasVerdict } from "./verdict.ts";

export type RecordFilter = (record: VerdictEvent) => boolean;

/** Absent: any. */
export interface FilterCriteria {
  podUid?: string;
  verdicts?: readonly Verdict[];
  direction?: Direction;
  /** Executable or script. */
  process?: string;
  container?: string;
}

/** A filter that takes the records which meet all criteria. */
export function recordFilter({ podUid, verdicts, direction, process, container }: FilterCriteria): RecordFilter {
  const filters = [
    ...(podUid === undefined ? [] : [isOfPod(podUid)]),
    ...(verdicts === undefined ? [] : [hasVerdict(verdicts)]),
    ...(direction === undefined ? [] : [hasDirection(direction)]),
    ...(process === undefined ? [] : [isOfProcess(process)]),
    ...(container === undefined ? [] : [hasContainer(container)]),
  ];
  return (record) => filters.every((filter) => filter(record));
}
