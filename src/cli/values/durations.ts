/** Lengths of time on the command line: `500ms`, `60s`, `5m`, `1h`; `1m30s` as in Go. */
import { UsageError } from "../../api/errors.ts";

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const WHOLE = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h)/g;

/** Milliseconds. @throws UsageError */
export function parseDuration(text: string): number {
  if (!WHOLE.test(text)) {
    throw new UsageError(`"${text}" is not a length of time; write for example 500ms, 60s, 5m or 1h`);
  }
  let total = 0;
  for (const [, number, unit] of text.matchAll(PART)) total += Number(number) * (UNITS[unit ?? ""] ?? 0);
  return Math.round(total);
}

/** The shortest way to write a whole number of milliseconds. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ["h", "m", "s"]) {
    const size = UNITS[unit] ?? 1;
    if (milliseconds !== 0 && milliseconds % size === 0) return `${milliseconds / size}${unit}`;
  }
  return `${milliseconds}ms`;
}
