/** From the kernel's ring buffers to the sink: decode, bring in the order of time, give names to numbers, hand on. */
import { join } from "node:path";
import { causeText } from "../../api/errors.ts";
import type { EventSink } from "../../export/sink.ts";
import type { Limit, LimitKey } from "../../gen/abi.gen.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { monotonicNow } from "../kernel/clock.ts";
import { BATCHES_MAX, DEFAULT_INTERVAL_MS, RingBuffer } from "../kernel/ring-buffer.ts";
import { type Directory, verdictEvent } from "./enrich.ts";
import { decodeRecord, type KernelRecord, PACKET_RINGS, RECORD_RINGS } from "./kernel-records.ts";
import { SuppressedEvents } from "./suppressed.ts";

export interface PipelineParts {
  /** Folder of the ring buffers' pins. */
  pinRoot: string;
  maps: {
    limits: { entries(): Iterable<[LimitKey, Limit]>; delete(key: LimitKey): boolean };
    errors: { get(kind: number): bigint | undefined };
  };
  directory: Directory;
  sink: EventSink;
  /** How many lost records have been reported, by this agent and those before it. */
  reported: { load(): ReadonlyMap<string, number>; save(counts: ReadonlyMap<string, number>): void };
  nameHashMultiplier: bigint;
  /** Milliseconds between two events of one kind in the kernel. */
  eventInterval: number;
  log: Logger;
}

/** How often what was held back, and what was lost, is looked for. */
const SWEEP_MS = 1000;
const NS_PER_MS = 1_000_000n;

export class EventPipeline {
  readonly #parts: PipelineParts;
  readonly #suppressed: SuppressedEvents;
  readonly #rings: RingBuffer[];
  readonly #timers: NodeJS.Timeout[];
  /** How many the kernel had lost of each kind when that was reported last. */
  readonly #lost: Map<string, number>;
  /** Decoded, and not handed on yet. */
  #waiting: KernelRecord[] = [];

  /** @throws KernelError, RingBufferError */
  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#suppressed = new SuppressedEvents({ ...parts, limits: parts.maps.limits });
    this.#lost = new Map(parts.reported.load());
    using opened = new DisposableStack();
    this.#rings = PACKET_RINGS.map(({ pin }) => opened.use(this.#open(join(parts.pinRoot, pin))));
    opened.move();
    const interval = BigInt(parts.eventInterval) * NS_PER_MS;
    this.#timers = [
      setInterval(() => this.#look(), DEFAULT_INTERVAL_MS),
      setInterval(() => this.#reportRest(interval), SWEEP_MS),
    ];
  }

  /** Delivers what is there now, and what was held back. */
  drain(): void {
    this.#look();
    this.#reportRest(0n);
  }

  /** Delivers what is there, and stops. What comes later waits in the kernel for the next agent. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const ring of this.#rings) ring.close();
    this.#handOn();
    this.#reportLost();
  }

  #open(pin: string): RingBuffer {
    return RingBuffer.open(pin, {
      onRecords: (records) => {
        for (const bytes of records) this.#waiting.push(decodeRecord(bytes));
      },
      onError: (error) => this.#parts.log.error({ err: error }, "records could not be read"),
      intervalMs: null,
    });
  }

  /** Each batch in the order of time; what the kernel writes meanwhile waits for the next look. */
  #look(): void {
    for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
      const taken = this.#rings.map((ring) => ring.drain(1));
      this.#handOn();
      if (taken.every((count) => count === 0)) return;
    }
  }

  #handOn(): void {
    const records = this.#waiting.sort((one, other) => Number(one.header.time - other.header.time));
    this.#waiting = [];
    try {
      for (const record of records) this.#deliver(record);
    } catch (cause) {
      this.#parts.log.error({ err: cause }, `cannot report what the kernel has seen: ${causeText(cause)}`);
    }
  }

  #deliver(record: KernelRecord): void {
    const event = verdictEvent(record, this.#parts.directory);
    if (event === null) return;
    this.#suppressed.saw(record, event);
    this.#parts.sink.write(event);
  }

  /** A failed look is tried again at the next one. @param interval ns; what has been quiet for two of them is reported */
  #reportRest(interval: bigint): void {
    try {
      for (const event of this.#suppressed.drain(monotonicNow(), interval)) this.#parts.sink.write(event);
      this.#reportLost();
    } catch (cause) {
      this.#parts.log.error({ err: cause }, `cannot report what was held back: ${causeText(cause)}`);
    }
  }

  #reportLost(): void {
    const { maps, sink, reported } = this.#parts;
    for (const { kind, lost } of RECORD_RINGS) {
      const now = Number(maps.errors.get(lost) ?? 0n);
      const before = this.#lost.get(kind) ?? 0;
      if (now === before) continue;
      // Counters that have gone back are others: the pins were made anew.
      const count = now < before ? now : now - before;
      this.#lost.set(kind, now);
      if (count > 0) sink.write({ time: new Date().toISOString(), type: "lost", where: "kernel", kind, count });
      reported.save(this.#lost);
    }
  }
}
