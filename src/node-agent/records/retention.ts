/** How much is kept: so many bytes in all, and the oldest segments go first. */
import type { Segments } from "./segments.ts";

/** The limit is divided into at least so many segments, so that little is forgotten at once. */
const SEGMENTS_MIN = 16;
const SEGMENT_BYTES_MAX = 8 * 1024 * 1024;

/** Size at which a segment is full. @param limit bytes that all may have together */
export function segmentSize(limit: number): number {
  return Math.min(SEGMENT_BYTES_MAX, Math.floor(limit / SEGMENTS_MIN));
}

/**
 * Forgets the oldest segments until there is room.
 * @param needed bytes: of the open segment, and of what is about to be written to it
 * @throws Error of the file system
 */
export function makeRoom(segments: Segments, limit: number, needed: number): void {
  while (segments.sealed.length > 0 && segments.bytes + needed > limit) segments.forgetOldest();
}
