/** Every packet is counted once, under its direction, reason and verdict. */
import { DIRECTIONS, REASONS, VERDICTS } from "../../../src/api/reasons.ts";
import type { RigMaps } from "../../harness/classifier-harness.ts";
import type { StateDifference } from "./compare-states.ts";

/** By `direction reason verdict`. */
export type ExpectedCounters = Map<string, { packets: number; bytes: number }>;

export function compareCounters(maps: RigMaps, expected: ExpectedCounters): StateDifference | null {
  const counted: ExpectedCounters = new Map();
  for (const [key, { packets, bytes }] of maps.counters.entries()) {
    const name = `${DIRECTIONS[key.direction]} ${REASONS[key.reason]} ${VERDICTS[key.verdict]}`;
    const sum = counted.get(name) ?? { packets: 0, bytes: 0 };
    counted.set(name, { packets: sum.packets + Number(packets), bytes: sum.bytes + Number(bytes) });
  }
  const text = (counters: ExpectedCounters) =>
    [...counters]
      .map(([name, { packets, bytes }]) => `${name} ${packets} packets ${bytes} bytes`)
      .sort()
      .join("; ");
  if (text(counted) === text(expected)) return null;
  return { kernel: `counters ${text(counted)}`, evaluator: `counters ${text(expected)}` };
}
