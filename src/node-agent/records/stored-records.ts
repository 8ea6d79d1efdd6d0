/** What the segments have of what is asked for: the blocks of its time, of these the sections of its workloads, of these the records. */
import { setImmediate as turn } from "node:timers/promises";
import { causeCode } from "../../api/errors.ts";
import { selectionFilter, workloadFilter } from "../../flow/filters/filter.ts";
import type { RecordFilter } from "../../flow/filters/record-filter.ts";
import type { RecordQuery } from "../../flow/query.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { type Block, blocksIn, linesOf, type WorkloadName } from "./block.ts";
import type { SegmentReader } from "./snapshot.ts";

/** What was found out on the way, for the end of the answer. */
export interface Findings {
  lost: number;
  damaged: Set<number>;
  /** Until when records of workloads that were asked for were removed; null: none. */
  forgottenUntil: number | null;
}

/** Where an answer begins: a segment, a block of it, and how many of the records that are wanted come before. */
interface Start {
  segmentIndex: number;
  blockIndex: number;
  skip: number;
}

const EVERYTHING: Start = { segmentIndex: 0, blockIndex: 0, skip: 0 };

export class StoredRecords {
  readonly #query: RecordQuery;
  readonly #filter: RecordFilter;
  readonly #isOfInterest: (workload: WorkloadName) => boolean;
  readonly #findings: Findings;

  constructor(query: RecordQuery, findings: Findings) {
    this.#query = query;
    this.#filter = selectionFilter(query.select);
    this.#isOfInterest = workloadFilter(query.select);
    this.#findings = findings;
  }

  /** Whether a record is asked for, but for how many. */
  takes(record: AgentEvent): boolean {
    return this.#isOfTime(Date.parse(record.time)) && this.#filter(record);
  }

  /**
   * The lines of the records that are wanted, in the order in which they were kept, and within a block of their times.
   * The event loop gets its turn after each block.
   */
  async *lines(segments: readonly SegmentReader[]): AsyncGenerator<string[]> {
    const { first = Number.POSITIVE_INFINITY, last } = this.#query;
    const start = last === undefined ? EVERYTHING : await this.#startOfLast(segments, last);
    let { skip } = start;
    let left = first;
    for await (const block of this.#blocksFrom(segments, start)) {
      this.#note(block);
      const found = this.#matches(block);
      const lines = found.slice(skip, skip + left);
      skip = Math.max(0, skip - found.length);
      left -= lines.length;
      if (lines.length > 0) yield lines;
      if (left <= 0) return;
    }
  }

  /** What is missing of a block. */
  #note({ index: { lost, forgotten = [], last } }: Block): void {
    const findings = this.#findings;
    findings.lost += lost;
    if (forgotten.some(this.#isOfInterest)) findings.forgottenUntil = Math.max(findings.forgottenUntil ?? last, last);
  }

  /** Where the last so many of those that are wanted begin. */
  async #startOfLast(segments: readonly SegmentReader[], count: number): Promise<Start> {
    let found = 0;
    for (const [segmentIndex, segment] of [...segments.entries()].toReversed()) {
      for (const [blockIndex, block] of [...this.#blocksOf(segment).entries()].toReversed()) {
        found += this.#matches(block).length;
        if (found >= count) return { segmentIndex, blockIndex, skip: found - count };
        await turn();
      }
    }
    return EVERYTHING;
  }

  async *#blocksFrom(segments: readonly SegmentReader[], { segmentIndex, blockIndex }: Start): AsyncGenerator<Block> {
    for (const [index, segment] of segments.slice(segmentIndex).entries()) {
      for (const block of this.#blocksOf(segment).slice(index === 0 ? blockIndex : 0)) {
        yield block;
        await turn();
      }
    }
  }

  /** Those of the time that is asked for. */
  #blocksOf(segment: SegmentReader): Block[] {
    const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = this.#query;
    if (segment.last < since || segment.first > until) return [];
    const { blocks, isDamaged } = this.#read(segment);
    if (isDamaged) this.#findings.damaged.add(segment.id);
    return blocks.filter(({ index }) => index.last >= since && index.first <= until);
  }

  /** What was forgotten since the question was asked is missing in the answer. */
  #read(segment: SegmentReader): { blocks: Block[]; isDamaged: boolean } {
    try {
      const bytes = segment.read();
      const { blocks, isDamaged, end } = blocksIn(bytes);
      return { blocks, isDamaged: isDamaged || end < bytes.length };
    } catch (cause) {
      if (causeCode(cause) === null) throw cause;
      return { blocks: [], isDamaged: true };
    }
  }

  #matches(block: Block): string[] {
    const found: [number, string][] = [];
    for (const line of linesOf(block, this.#isOfInterest)) {
      const record = JSON.parse(line) as AgentEvent;
      const time = Date.parse(record.time);
      if (this.#isOfTime(time) && this.#filter(record)) found.push([time, line]);
    }
    return found.sort(([a], [b]) => a - b).map(([, line]) => line);
  }

  #isOfTime(time: number): boolean {
    const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY } = this.#query;
    return time >= since && time <= until;
  }
}
