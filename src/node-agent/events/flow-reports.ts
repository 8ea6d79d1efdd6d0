/**
 * Records of flows that are counted (bpf/include/verdict/flow_count.h). The kernel keeps the counts in the flow's entry and says
 * only which entries go; all others are looked through every few seconds. A record has all that has passed since the flow
 * began, so that none is missing and none counts twice when an agent ends without a word and the next one reports it again.
 */
import { join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { causeText } from "../../api/errors.ts";
import type { EventSink } from "../../export/sink.ts";
import type { FlowEnd } from "../../flow/record.ts";
import { Flow, FlowCount, FlowKey, FlowRecord } from "../../gen/abi.gen.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Chunk } from "../kernel/map-batches.ts";
import { RingBuffer } from "../kernel/ring-buffer.ts";
import type { Directory } from "./enrich.ts";
import { flowEvent, tcpEnd } from "./flow-event.ts";
import { FLOW_RING } from "./kernel-records.ts";

export interface FlowReportsParts {
  /** Folder of the ring buffer's pin. */
  pinRoot: string;
  flows: { chunks(): Iterable<Chunk> };
  directory: Directory;
  sink: EventSink;
  /** Milliseconds of silence after which a flow without an end of its own is over. */
  idle: number;
  log: Logger;
}

/** Between two looks at all flows. A flow that has ended is reported at the second look that finds it so. */
const LOOK_MS = 5000;
/** Between two records of a flow that goes on. */
const PERIOD_MS = 60_000;
const TCP = 6;
/** Records without a pause, and the pause: 20,000 a second. */
const PORTION = 500;
const PAUSE_MS = 25;

/** A flow that is there, as it was at the last look. Times are of `performance.now`. */
interface KnownFlow {
  packets: bigint;
  changedAt: number;
  /** What the last record had, and when that was. */
  reported: bigint;
  reportedAt: number;
  hasEnded: boolean;
  seenAt: number;
}

export class FlowReports {
  readonly #parts: FlowReportsParts;
  readonly #known = new Map<string, KnownFlow>();
  readonly #ring: RingBuffer;
  readonly #timer: NodeJS.Timeout;
  #look: Promise<void> | null = null;
  #closed = false;
  /** Records of the look that is under way, since the last pause. */
  #written = 0;

  /** @throws KernelError, RingBufferError */
  constructor(parts: FlowReportsParts) {
    this.#parts = parts;
    this.#ring = RingBuffer.open(join(parts.pinRoot, FLOW_RING.pin), {
      onRecords: (records) => {
        for (const bytes of records) this.#take(FlowRecord.decode(bytes));
      },
      onError: (error) => parts.log.error({ err: error }, "records of flows could not be read"),
    });
    this.#timer = setInterval(() => {
      this.#look ??= this.#lookAtAll().finally(() => {
        this.#look = null;
      });
    }, LOOK_MS);
  }

  /** The entries of workloads that are not among these are about to be removed. */
  endOthers(live: ReadonlySet<number>): void {
    for (const { key, flow } of allFlows(this.#parts.flows.chunks())) {
      if (!live.has(key.workloadId)) this.#end(key, flow, "removed");
    }
  }

  /** What is counted stays in the kernel, for the next agent. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#ring.close();
  }

  #take({ key, flow, isReplaced }: FlowRecord): void {
    this.#end(key, flow, tcpEnd(flow) ?? (isReplaced === 1 ? "replaced" : "evicted"));
  }

  /** In portions, so that everything else has its turn. A failed look is tried again at the next one. */
  async #lookAtAll(): Promise<void> {
    const now = performance.now();
    try {
      for (const chunk of this.#parts.flows.chunks()) {
        for (let n = 0; n < chunk.count; n += 1) {
          if (this.#closed) return;
          this.#lookAt(chunk, n, now);
          if (this.#written >= PORTION) await this.#pause();
        }
        await turn();
      }
      for (const [id, { seenAt }] of this.#known) if (seenAt < now) this.#known.delete(id);
    } catch (cause) {
      this.#parts.log.error({ err: cause }, `cannot look at the counts of flows: ${causeText(cause)}`);
    }
  }

  #lookAt({ keys, values }: Chunk, n: number, now: number): void {
    const at = n * Flow.SIZE;
    const packets = values.readBigUInt64LE(at) + values.readBigUInt64LE(at + FlowCount.SIZE);
    if (packets === 0n) return;
    const id = identity(keys.subarray(n * FlowKey.SIZE, (n + 1) * FlowKey.SIZE), values.readBigUInt64LE(at + BEGAN));
    const known = this.#known.get(id) ?? newFlow(now);
    this.#known.set(id, known);
    known.seenAt = now;
    const isSame = known.packets === packets;
    if (!isSame) Object.assign(known, { packets, changedAt: now, hasEnded: false });
    if (known.hasEnded) return;
    const isDue = now - known.reportedAt >= PERIOD_MS && packets !== known.reported;
    if (!isSame && !isDue) return;
    const key = FlowKey.decode(keys, n * FlowKey.SIZE);
    const flow = Flow.decode(values, at);
    const end = isSame ? this.#endOf(key, flow, now - known.changedAt) : null;
    if (end !== null || isDue) this.#report(known, key, flow, end, now);
  }

  /** Many flows may have ended since the last look: who writes their records down gets them in portions. */
  async #pause(): Promise<void> {
    this.#written = 0;
    await sleep(PAUSE_MS);
  }

  /** Stragglers of a connection that is over may still come: it has ended when nothing has come since the last look. */
  #endOf({ protocol }: FlowKey, flow: Flow, silence: number): FlowEnd | null {
    if (protocol === TCP) return tcpEnd(flow);
    return silence >= this.#parts.idle ? "idle" : null;
  }

  #end(key: FlowKey, flow: Flow, end: FlowEnd): void {
    const packets = flow.counts.reduce((sum, count) => sum + count.packets, 0n);
    if (packets === 0n && end !== "failed") return;
    const id = identity(FlowKey.encode(key), flow.began);
    const known = this.#known.get(id);
    this.#known.delete(id);
    if (known?.hasEnded === true && known.reported === packets) return;
    this.#parts.sink.write(flowEvent(key, flow, end, this.#parts.directory));
  }

  #report(known: KnownFlow, key: FlowKey, flow: Flow, end: FlowEnd | null, now: number): void {
    const packets = flow.counts.reduce((sum, count) => sum + count.packets, 0n);
    Object.assign(known, { reported: packets, reportedAt: now, hasEnded: end !== null });
    this.#written += 1;
    this.#parts.sink.write(flowEvent(key, flow, end, this.#parts.directory));
  }
}

/** `counts` stands at the beginning of `struct flow`, `began` behind it. */
const BEGAN = 2 * FlowCount.SIZE;

function identity(key: Buffer, began: bigint): string {
  return `${key.toString("latin1")}${began}`;
}

function newFlow(now: number): KnownFlow {
  return { packets: 0n, changedAt: now, reported: 0n, reportedAt: now, hasEnded: false, seenAt: now };
}

function* allFlows(chunks: Iterable<Chunk>): Generator<{ key: FlowKey; flow: Flow }> {
  for (const { keys, values, count } of chunks) {
    for (let n = 0; n < count; n += 1) {
      yield { key: FlowKey.decode(keys, n * FlowKey.SIZE), flow: Flow.decode(values, n * Flow.SIZE) };
    }
  }
}
