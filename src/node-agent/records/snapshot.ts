/** The segments as they are when somebody asks, so that the answer neither misses what is kept meanwhile, nor has it twice. */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import type { Segments } from "./segments.ts";
import type { SegmentWriter } from "./writer.ts";

export interface SegmentReader {
  id: number;
  first: number;
  last: number;
  /** @throws Error of the file system, where it has been forgotten since */
  read(): Buffer;
}

export class Snapshot {
  readonly segments: readonly SegmentReader[];
  #descriptor: number | null;

  /** Everything that was added to the writer is in it. @throws Error of the file system */
  constructor(segments: Segments, writer: SegmentWriter) {
    writer.flush();
    const sealed = segments.sealed.map(
      (segment): SegmentReader => ({
        ...segment,
        // Its name may change, where a part of it turns out to be damaged.
        read: () => readFileSync(segments.pathOf(segments.sealed.find(({ id }) => id === segment.id) ?? segment)),
      }),
    );
    const { open } = writer;
    // The open one is sealed under another name, with other blocks: this is what it was.
    const descriptor = open === null ? null : openSync(open.path, "r");
    this.#descriptor = descriptor;
    this.segments = descriptor === null || open === null ? sealed : [...sealed, openReader(descriptor, open.bytes)];
  }

  close(): void {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}

function openReader(descriptor: number, bytes: number): SegmentReader {
  return {
    id: 0,
    first: Number.NEGATIVE_INFINITY,
    last: Number.POSITIVE_INFINITY,
    read() {
      const buffer = Buffer.allocUnsafe(bytes);
      const length = readSync(descriptor, buffer, 0, bytes, 0);
      return buffer.subarray(0, length);
    },
  };
}
