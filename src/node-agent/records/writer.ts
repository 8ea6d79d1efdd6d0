/**
 * Writes records to the open segment, a block each second. What a block has is on disk when `flush` returns, as far as the kernel is
 * concerned: an agent that is killed loses what came after. A disk that takes nothing costs the records, which are counted, and nothing else.
 */
import { closeSync, ftruncateSync, writeSync } from "node:fs";
import { causeText, fileFault } from "../../api/errors.ts";
import { type KeptLine, keptLine } from "./messages.ts";
import { PendingBlock } from "./pending-block.ts";
import { makeRoom, segmentSize } from "./retention.ts";
import type { Segments } from "./segments.ts";

/** So many characters make a block before its second is over. */
const BLOCK_CHARACTERS = 1024 * 1024;

interface OpenSegment {
  id: number;
  descriptor: number;
  bytes: number;
}

export interface WriterEvents {
  /** Records that the disk did not take. */
  onLost(count: number): void;
  onWarning(message: string): void;
}

export class SegmentWriter {
  readonly #segments: Segments;
  readonly #limit: number;
  readonly #events: WriterEvents;
  #pending = new PendingBlock();
  #open: OpenSegment | null = null;
  #problem: string | null = null;
  /** Records that the disk has not taken, and that no kept record tells of yet. */
  #untold = 0;

  /** @param limit bytes that all segments may have together */
  constructor(segments: Segments, limit: number, events: WriterEvents) {
    this.#segments = segments;
    this.#limit = limit;
    this.#events = events;
  }

  /** Why the disk takes nothing; null: it does. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The open segment's path and bytes; null: there is none. */
  get open(): { path: string; bytes: number } | null {
    if (this.#open === null) return null;
    return { path: this.#segments.openPath(this.#open.id), bytes: this.#open.bytes };
  }

  add(line: KeptLine): void {
    this.#pending.add(line);
    if (this.#pending.characters >= BLOCK_CHARACTERS) this.flush();
  }

  /** Writes what there is. Never throws. */
  flush(): void {
    if (this.#pending.count === 0) return;
    if (this.#untold > 0) this.#pending.add(this.#lostLine());
    const { count } = this.#pending;
    const block = this.#pending.encode();
    this.#pending = new PendingBlock();
    try {
      this.#write(block);
      if (this.#problem !== null) this.#events.onWarning("records are kept again");
      this.#problem = null;
      this.#untold = 0;
    } catch (cause) {
      this.#failed(cause, this.#untold > 0 ? count - 1 : count);
    }
  }

  /** Writes what there is, and seals the open segment. */
  close(): void {
    this.flush();
    if (this.#open !== null) this.#seal(this.#open);
  }

  #write(block: Buffer): void {
    if (this.#open !== null && this.#open.bytes >= segmentSize(this.#limit)) this.#seal(this.#open);
    makeRoom(this.#segments, this.#limit, (this.#open?.bytes ?? 0) + block.length);
    this.#open ??= { ...this.#segments.begin(), bytes: 0 };
    const { descriptor, bytes } = this.#open;
    try {
      for (let written = 0; written < block.length; ) written += writeSync(descriptor, block, written);
    } catch (cause) {
      // A part of a block is none.
      ftruncateSync(descriptor, bytes);
      throw cause;
    }
    this.#open.bytes = bytes + block.length;
  }

  #seal({ id, descriptor }: OpenSegment): void {
    this.#open = null;
    closeSync(descriptor);
    try {
      this.#segments.seal(id);
    } catch (cause) {
      this.#events.onWarning(
        `a segment of records cannot be sealed, which is tried again at the next start: ${causeText(cause)}`,
      );
    }
  }

  #failed(cause: unknown, count: number): void {
    const problem = `records cannot be kept in ${this.#segments.folder}: ${fileFault(cause)}`;
    if (this.#problem === null) this.#events.onWarning(`${problem}; judging does not depend on it`);
    this.#problem = problem;
    this.#untold += count;
    this.#events.onLost(count);
  }

  #lostLine(): KeptLine {
    return keptLine({ time: new Date().toISOString(), type: "lost", where: "disk", count: this.#untold });
  }
}
