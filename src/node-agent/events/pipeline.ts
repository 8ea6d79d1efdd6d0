/** From the kernel's ring buffer to the sink: decode, give names to numbers, hand on. */
import { causeText } from "../../api/errors.ts";
import { ErrorKind, Event, type Limit, type LimitKey } from "../../gen/abi.gen.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { monotonicNow } from "../kernel/clock.ts";
import { RingBuffer } from "../kernel/ring-buffer.ts";
import { type Directory, verdictEvent } from "./enrich.ts";
import type { EventSink } from "./sinks.ts";
import { SuppressedEvents } from "./suppressed.ts";

export interface PipelineParts {
  /** Path of the ring buffer's pin. */
  pin: string;
  maps: {
    limits: { entries(): Iterable<[LimitKey, Limit]>; delete(key: LimitKey): boolean };
    errors: { get(kind: number): bigint | undefined };
  };
  directory: Directory;
  sink: EventSink;
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
  readonly #ring: RingBuffer;
  readonly #sweep: NodeJS.Timeout;
  #lost: bigint;

  /** @throws KernelError, RingBufferError */
  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#suppressed = new SuppressedEvents({ ...parts, limits: parts.maps.limits });
    this.#lost = parts.maps.errors.get(ErrorKind.EVENTS_LOST) ?? 0n;
    this.#ring = RingBuffer.open(parts.pin, {
      onRecords: (records) => this.#take(records),
      onError: (error) => parts.log.error({ err: error }, "events could not be read"),
    });
    const interval = BigInt(parts.eventInterval) * NS_PER_MS;
    this.#sweep = setInterval(() => this.#reportRest(interval), SWEEP_MS);
  }

  /** Delivers what is there now, and what was held back. */
  drain(): void {
    this.#ring.drain();
    this.#reportRest(0n);
  }

  /** Delivers what is there, and stops. What comes later waits in the kernel for the next agent. */
  close(): void {
    clearInterval(this.#sweep);
    this.#ring.close();
    this.#reportLost();
  }

  #take(records: Buffer[]): void {
    for (const bytes of records) this.#deliver(Event.decode(bytes));
  }

  #deliver(record: Event): void {
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
    const { maps, sink } = this.#parts;
    const lost = maps.errors.get(ErrorKind.EVENTS_LOST) ?? 0n;
    if (lost <= this.#lost) return;
    sink.write({ time: new Date().toISOString(), type: "lost", where: "kernel", count: Number(lost - this.#lost) });
    this.#lost = lost;
  }
}
