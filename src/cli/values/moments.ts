/** Moments on the command line: RFC 3339, or how long ago (`5m`, `1h30m`). */
import { UsageError } from "../../api/errors.ts";
import { parseDuration } from "./durations.ts";

const MOMENT = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?$/;

/** Milliseconds since 1970. @throws UsageError */
export function parseMoment(text: string): number {
  if (/^\d+(?:\.\d+)?[a-z]/.test(text)) return Date.now() - parseDuration(text);
  const time = MOMENT.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time) && time >= 0) return time;
  throw new UsageError(
    `"${text}" is not a moment; write a time such as 2026-01-02T03:04:05Z, or how long ago it was, such as 5m or 1h`,
  );
}
