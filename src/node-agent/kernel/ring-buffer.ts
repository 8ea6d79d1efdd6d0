/**
 * The consumer of a BPF ring buffer. Its pages are mapped and read in place, on a timer: a wake-up per event would
 * cost more in the packet path than all else that an event costs there. The kernel side submits with
 * BPF_RB_NO_WAKEUP.
 *
 * Layout (kernel/bpf/ringbuf.c): one page with the consumer's position, one with the producer's, then the data, mapped
 * twice in a row so that records never wrap. A record is a header of 8 bytes (length with two flag bits, page
 * offset), the data, and padding to 8 bytes. Positions only grow; the map keeps the consumer's, so that the next
 * agent goes on where this one ended. Only one consumer may read at a time.
 */
import { causeText, PortcullisError } from "../../api/errors.ts";
import { openPin } from "../ffi/bpf.ts";
import { closeFd, mapMemory, PROT_READ, PROT_WRITE, pageSize, unmapMemory } from "../ffi/libc.ts";
import type { Pointer } from "../ffi/memory.ts";
import { detachView, viewMemory } from "../ffi/memory.ts";
import { MAP_TYPE, mapInfo } from "./maps.ts";

const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;
const HEADER_SIZE = 8;

/** Records per call of the handler, so that one call does not hold up everything else. */
const BATCH_MAX = 1024;
/** And calls in a row: while the kernel writes as fast as we read, timers and signals have to have their turn. */
export const BATCHES_MAX = 16;
export const DEFAULT_INTERVAL_MS = 15;

/** The map is no ring buffer, or the handler of its records failed. */
export class RingBufferError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_RING_BUFFER", message, options);
  }
}

export interface RingBufferOptions {
  /**
   * Gets records in the order of their submission. They are the kernel's memory: valid until the handler returns,
   * to be decoded or copied by then.
   */
  onRecords(records: Buffer[]): void;
  /** The handler threw; its records are gone. */
  onError(error: RingBufferError): void;
  /** Between two looks, 15 ms unless given; null: whoever opened it calls `drain`. */
  intervalMs?: number | null;
}

export interface RingBufferStatistics {
  /** Delivered. What the kernel could not store is counted there (map `errors`). */
  records: number;
  bytes: number;
  /** Reserved by the kernel side and then thrown away. */
  discarded: number;
  /** Records whose handler threw. */
  failed: number;
}

/** Reads a ring buffer until it is closed. */
export class RingBuffer implements Disposable {
  readonly statistics: RingBufferStatistics = { records: 0, bytes: 0, discarded: 0, failed: 0 };
  readonly #options: RingBufferOptions;
  readonly #memory: MappedRing;
  readonly #timer: NodeJS.Timeout | undefined;
  #draining = false;
  #closed = false;

  private constructor(fd: number, options: RingBufferOptions) {
    this.#options = options;
    this.#memory = new MappedRing(fd);
    const { intervalMs = DEFAULT_INTERVAL_MS } = options;
    this.#timer = intervalMs === null ? undefined : setInterval(() => this.drain(), intervalMs);
  }

  /** Starts reading a pinned ring buffer. @throws KernelError, RingBufferError */
  static open(path: string, options: RingBufferOptions): RingBuffer {
    const fd = openPin(path);
    try {
      return new RingBuffer(fd, options);
    } finally {
      closeFd(fd); // the mapping keeps the map
    }
  }

  /** Starts reading the ring buffer behind a file descriptor, which stays the caller's. */
  static fromFd(fd: number, options: RingBufferOptions): RingBuffer {
    return new RingBuffer(fd, options);
  }

  /** Delivers what is there now, up to so many times 1024 records; the rest with the next look. @returns number of records */
  drain(batches = BATCHES_MAX): number {
    if (this.#closed || this.#draining) return 0;
    this.#draining = true;
    try {
      let total = 0;
      for (let batch = 0; batch < batches; batch += 1) {
        const taken = this.#deliver();
        total += taken.delivered;
        if (taken.seen < BATCH_MAX || this.#closed) break;
      }
      return total;
    } finally {
      this.#draining = false;
      if (this.#closed) this.#memory.release();
    }
  }

  /** Delivers what is there, and lets go of the memory. From within the handler: after the handler has returned. */
  close(): void {
    if (this.#closed) return;
    clearInterval(this.#timer);
    if (!this.#draining) this.drain();
    this.#closed = true;
    if (!this.#draining) this.#memory.release();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #deliver(): { delivered: number; seen: number } {
    const batch = this.#memory.read(BATCH_MAX);
    const { records, seen } = batch;
    this.statistics.discarded += seen - records.length;
    try {
      if (records.length > 0) this.#options.onRecords(records);
      this.statistics.records += records.length;
      for (const record of records) this.statistics.bytes += record.length;
    } catch (cause) {
      this.statistics.failed += records.length;
      const message = `the handler of ${records.length} records failed: ${causeText(cause)}. They are lost`;
      this.#options.onError(new RingBufferError(message, { cause }));
    } finally {
      this.#memory.advance(batch.end);
    }
    return { delivered: records.length, seen };
  }
}

interface RingBatch {
  records: Buffer[];
  /** Records and discarded ones. */
  seen: number;
  /** The consumer's position behind them. */
  end: number;
}

/** The mapped pages. Positions are below 2^53 for longer than any machine runs. */
class MappedRing {
  readonly #size: number;
  readonly #mappings: { address: Pointer; length: number; view: ArrayBuffer }[] = [];
  readonly #consumer: BigUint64Array;
  readonly #producer: BigUint64Array;
  readonly #headers: Int32Array;
  readonly #data: Buffer;
  #position: number;

  constructor(fd: number) {
    const info = mapInfo(fd);
    if (info.type !== MAP_TYPE.RINGBUF) {
      throw new RingBufferError(`map ${info.name} is of type ${info.type} and no ring buffer. Name a map of records`);
    }
    const page = pageSize();
    this.#size = info.maxEntries;
    const consumer = this.#map(fd, 0, page, PROT_READ | PROT_WRITE);
    const rest = this.#mapRest(fd, page);
    this.#consumer = new BigUint64Array(consumer, 0, 1);
    this.#producer = new BigUint64Array(rest, 0, 1);
    this.#headers = new Int32Array(rest, page, (2 * this.#size) / 4);
    this.#data = Buffer.from(rest, page, 2 * this.#size);
    this.#position = Number(Atomics.load(this.#consumer, 0));
  }

  /** The next records, as far as they are complete. */
  read(limit: number): RingBatch {
    const end = Number(Atomics.load(this.#producer, 0));
    const records: Buffer[] = [];
    let position = this.#position;
    let seen = 0;
    for (; position < end && seen < limit; seen += 1) {
      // `%`, not `&`: positions outgrow the 32 bits of JavaScript's bit operators.
      const offset = position % this.#size;
      const header = Atomics.load(this.#headers, offset / 4);
      if ((header & BUSY) !== 0) break;
      const length = header & LENGTH_MASK;
      const start = offset + HEADER_SIZE;
      if ((header & DISCARDED) === 0) records.push(this.#data.subarray(start, start + length));
      position += HEADER_SIZE + Math.ceil(length / 8) * 8;
    }
    return { records, seen, end: position };
  }

  /** Gives the memory before `position` back to the kernel. */
  advance(position: number): void {
    if (position === this.#position) return;
    this.#position = position;
    Atomics.store(this.#consumer, 0, BigInt(position));
  }

  /** Whoever kept a record sees an empty one from now on. */
  release(): void {
    for (const { address, length, view } of this.#mappings.splice(0)) {
      detachView(view);
      unmapMemory(address, length);
    }
  }

  #mapRest(fd: number, page: number): ArrayBuffer {
    try {
      return this.#map(fd, page, page + 2 * this.#size, PROT_READ);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  #map(fd: number, offset: number, length: number, protection: number): ArrayBuffer {
    const address = mapMemory(fd, offset, length, protection);
    const view = viewMemory(address, length);
    this.#mappings.push({ address, length, view });
    return view;
  }
}
