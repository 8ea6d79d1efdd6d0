/** What is done with records in the thread of their own: kept, and given to whoever asks. */
import type { AnswerEnd, RecordQuery } from "../../flow/query.ts";
import { Follower } from "./follower.ts";
import type { KeptLine, RecordsState } from "./messages.ts";
import { Segments } from "./segments.ts";
import { Snapshot } from "./snapshot.ts";
import { type Findings, StoredRecords } from "./stored-records.ts";
import { SegmentWriter, type WriterEvents } from "./writer.ts";

/** Where lines of an answer go. */
export interface AnswerSink {
  /** Settles when there is room for more; false: nobody reads any more. */
  write(lines: readonly string[]): Promise<boolean>;
  readonly signal: AbortSignal;
}

export class Keeper {
  readonly #segments: Segments;
  readonly #writer: SegmentWriter;
  readonly #events: WriterEvents;
  readonly #followers = new Set<Follower>();

  /** @param limit bytes that all segments may have together. @throws Error of the file system */
  constructor(folder: string, limit: number, events: WriterEvents) {
    this.#segments = new Segments(folder);
    this.#writer = new SegmentWriter(this.#segments, limit, events);
    this.#events = events;
  }

  get state(): RecordsState {
    const { sealed, bytes } = this.#segments;
    const { open, problem } = this.#writer;
    return {
      segments: sealed.length + (open === null ? 0 : 1),
      bytes: bytes + (open?.bytes ?? 0),
      damaged: sealed.filter(({ isDamaged }) => isDamaged).length,
      problem,
    };
  }

  take(lines: readonly KeptLine[]): void {
    for (const line of lines) {
      this.#writer.add(line);
      for (const follower of this.#followers) follower.offer(line);
    }
  }

  /** Puts on disk what there is. */
  flush(): void {
    this.#writer.flush();
  }

  close(): void {
    for (const follower of this.#followers) follower.end();
    this.#writer.close();
  }

  /** Answers a question; settles when all has been said, or nobody listens any more. @throws Error of the file system */
  async answer(query: RecordQuery, sink: AnswerSink): Promise<void> {
    const findings: Findings = { lost: 0, damaged: new Set(), forgottenUntil: null };
    const stored = new StoredRecords(query, findings);
    const follower = query.follow ? new Follower((record) => stored.takes(record)) : null;
    const snapshot = new Snapshot(this.#segments, this.#writer);
    // From here on, in the same turn: what is not in the snapshot comes to the follower.
    if (follower !== null) this.#followers.add(follower);
    try {
      for await (const lines of stored.lines(snapshot.segments)) if (!(await sink.write(lines))) return;
      snapshot.close();
      if (follower !== null && !(await follower.run(sink, query.first))) return;
      findings.lost += follower?.lost ?? 0;
      await sink.write([JSON.stringify(this.#end(query, findings))]);
    } finally {
      snapshot.close();
      if (follower !== null) this.#followers.delete(follower);
      this.#report(findings);
    }
  }

  #end({ since, until }: RecordQuery, { lost, damaged, forgottenUntil }: Findings): AnswerEnd {
    const forgottenBefore = since === undefined ? null : this.#forgottenBefore(since, forgottenUntil);
    const { problem } = this.#writer;
    return {
      type: "end",
      lost,
      damaged: damaged.size,
      ...(forgottenBefore === null ? {} : { forgottenBefore: new Date(forgottenBefore).toISOString() }),
      ...(problem === null || (until !== undefined && until < Date.now()) ? {} : { problem }),
    };
  }

  /** From when on nothing that was asked for has been removed; null: nothing has, since that time. */
  #forgottenBefore(since: number, forgottenUntil: number | null): number | null {
    if (forgottenUntil !== null) return forgottenUntil;
    const [oldest] = this.#segments.sealed;
    return this.#segments.hasForgotten && oldest !== undefined && since < oldest.first ? oldest.first : null;
  }

  /** Damaged segments are set aside when they are found, and reported once. */
  #report({ damaged }: Findings): void {
    for (const segment of this.#segments.sealed.filter(({ id }) => damaged.has(id))) {
      if (!this.#segments.setAside(segment)) continue;
      this.#events.onWarning(
        `a segment of records is damaged, and set aside as ${this.#segments.pathOf(segment)}; what can be read of it is still read`,
      );
    }
  }
}
