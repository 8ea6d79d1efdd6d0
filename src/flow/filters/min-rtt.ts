/** Records of TCP connections with a smoothed round trip of so much or more: `500us`, `20ms`, `1s`. */
import { FilterError } from "./error.ts";
import type { RecordFilter } from "./record-filter.ts";

const LENGTH = /^(\d+(?:\.\d+)?)(us|ms|s)$/;
const NS: Readonly<Record<string, number>> = { us: 1e3, ms: 1e6, s: 1e9 };

export function hasRoundTrip(values: readonly string[]): RecordFilter {
  const least = Math.min(...values.map(nanosecondsOf));
  return (record) => record.type === "flow" && record.tcp?.rtt !== undefined && record.tcp.rtt.smoothedNs >= least;
}

/** @throws FilterError */
function nanosecondsOf(text: string): number {
  const [, number, unit] = LENGTH.exec(text) ?? [];
  const factor = NS[unit ?? ""];
  if (factor === undefined) throw new FilterError("minRtt", text, "write for example 500us, 20ms or 1s");
  return Number(number) * factor;
}
