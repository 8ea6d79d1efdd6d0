/** The kernel's packet counters, by process: exact, unlike events, which are held back and may be lost. */
import { DIRECTIONS, type Direction, REASONS, type Reason, VERDICTS, type Verdict } from "../../../api/reasons.ts";
import { type Counter, type CounterKey, PATH_ID_MODIFIED } from "../../../gen/abi.gen.ts";

export interface TrafficCount {
  workloadId: number;
  /** Null: no process, or one that nothing is known of. */
  path: string | null;
  /** The file was created or changed after its container started. */
  modified: boolean;
  direction: Direction;
  verdict: Verdict;
  reason: Reason;
  packets: number;
  bytes: number;
}

/** All counters that are not zero: by workload and path, then what was allowed first. */
export function readCounters(
  counters: { entries(): Iterable<[CounterKey, Counter]> },
  path: (id: number) => string | null,
): TrafficCount[] {
  const counts = [...counters.entries()].map(([key, value]) => ({
    workloadId: key.workloadId,
    path: path(key.pathId & (PATH_ID_MODIFIED - 1)),
    modified: key.pathId >= PATH_ID_MODIFIED,
    direction: DIRECTIONS[key.direction] ?? "egress",
    verdict: VERDICTS[key.verdict] ?? "dropped",
    reason: REASONS[key.reason] ?? "Malformed",
    packets: Number(value.packets),
    bytes: Number(value.bytes),
  }));
  return counts.filter(({ packets }) => packets > 0).sort(compareCounts);
}

function compareCounts(left: TrafficCount, right: TrafficCount): number {
  return (
    left.workloadId - right.workloadId ||
    compareTexts(left.path ?? "", right.path ?? "") ||
    VERDICTS.indexOf(left.verdict) - VERDICTS.indexOf(right.verdict) ||
    compareTexts(left.direction, right.direction) ||
    compareTexts(left.reason, right.reason)
  );
}

function compareTexts(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}
