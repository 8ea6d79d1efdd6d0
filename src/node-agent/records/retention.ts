/**
 * How much is kept: so many bytes in all. Where that is full, a workload that has much more than its share loses its oldest records, so that
 * nobody's flood pushes out what is kept of others; where none has, the oldest segment goes, whosever records are in it.
 */
import type { Contents } from "./block.ts";
import type { Segments } from "./segments.ts";

/** The limit is divided into at least so many segments, so that little is forgotten at once. */
const SEGMENTS_MIN = 16;
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;
/** What is left of segments without a flood may be little: so many of them, then the oldest goes. */
const SEGMENTS_MAX = 1024;
/** Workloads differ: one that has a half more than its share has not flooded anything. */
const MUCH_MORE = 1.5;

/** Size at which a segment is full. @param limit bytes that all may have together */
export function segmentSize(limit: number): number {
  return Math.min(SEGMENT_BYTES_MAX, Math.floor(limit / SEGMENTS_MIN));
}

/**
 * Forgets records until there is room.
 * @param needed bytes: of the open segment, and of what is about to be written to it
 * @throws Error of the file system
 */
export function makeRoom(segments: Segments, limit: number, needed: number): void {
  while (segments.sealed.length > 0 && segments.bytes + needed > limit) {
    if (segments.sealed.length > SEGMENTS_MAX || !forgetFloods(segments, limit)) segments.forgetOldest();
  }
}

/** Takes what floods have out of the oldest segment that has some of it. False: nobody has flooded, or the disk has no room for the rest. */
function forgetFloods(segments: Segments, limit: number): boolean {
  const contents = segments.sealed.map((segment) => segments.contents(segment));
  const totals = totalOf(contents);
  const floods = new Set(
    [...totals].flatMap(([key, bytes]) => (bytes > (limit / totals.size) * MUCH_MORE ? [key] : [])),
  );
  const index = contents.findIndex((content) => [...content.keys()].some((key) => floods.has(key)));
  const segment = segments.sealed[index];
  return segment !== undefined && segments.forgetWorkloads(segment, floods);
}

function totalOf(all: readonly Contents[]): Map<string, number> {
  const total = new Map<string, number>();
  for (const contents of all) {
    for (const [key, bytes] of contents) total.set(key, (total.get(key) ?? 0) + bytes);
  }
  return total;
}
