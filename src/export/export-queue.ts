/**
 * Records that wait for the destination of an export. There is a bound for them: what comes when it is reached is left out, and counted;
 * a record says so at its place. A destination that fails is tried again, less and less often.
 */
import { causeText } from "../api/errors.ts";
import type { LostEvent } from "../flow/record.ts";
import { Backoff, type BackoffOptions } from "../timing/backoff.ts";
import { sleep } from "../timing/sleep.ts";
import { type Destination, RefusedError } from "./destination.ts";
import type { ExportState } from "./settings.ts";

export interface QueueOptions {
  name: string;
  destination: Destination;
  /** Bytes that may wait. */
  limit: number;
  /** The destination takes nothing, and why; null: it does again. */
  onProblem: (problem: string | null) => void;
  backoff?: BackoffOptions;
}

const BATCH_ITEMS = 1_000;
const BATCH_BYTES = 256 * 1024;
/** What comes within this time leaves together. */
const GATHER_MS = 200;
const BACKOFF: BackoffOptions = { initial: 500, maximum: 15_000 };

export class ExportQueue {
  readonly #options: QueueOptions;
  readonly #backoff: Backoff;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #items: Uint8Array[] = [];
  #bytes = 0;
  /** Left out, and no record tells of them yet. */
  #untold = 0;
  #counts = { taken: 0, overflowed: 0, refused: 0 };
  #problem: string | null = null;
  #wake: () => void = () => {};
  #isEnding = false;

  constructor(options: QueueOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.backoff ?? BACKOFF);
    this.#done = this.#run();
  }

  /** Never waits. */
  offer(item: Uint8Array): void {
    if (this.#bytes + item.length > this.#options.limit) {
      this.#counts.overflowed += 1;
      this.#untold += 1;
      return;
    }
    this.#push(item);
    this.#wake();
  }

  /** Counts begin anew. */
  takeState(): ExportState {
    const state = { name: this.#options.name, ...this.#counts, waiting: this.#bytes, problem: this.#problem };
    this.#counts = { taken: 0, overflowed: 0, refused: 0 };
    return state;
  }

  /** Sends what waits, for so many milliseconds at most; the rest is lost, and counted. */
  async end(milliseconds: number): Promise<void> {
    this.#isEnding = true;
    this.#wake();
    const timer = setTimeout(() => this.#stop.abort(), milliseconds);
    const stopped = new Promise<void>((settle) => this.#stop.signal.addEventListener("abort", () => settle()));
    await Promise.race([this.#done, stopped]);
    clearTimeout(timer);
    this.#counts.refused += this.#items.length;
  }

  #push(item: Uint8Array): void {
    this.#items.push(item);
    this.#bytes += item.length;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      if (this.#items.length === 0) {
        if (this.#isEnding) break;
        await new Promise<void>((settle) => {
          this.#wake = settle;
        });
        if (!this.#isEnding) await sleep(GATHER_MS, this.#stop.signal);
        continue;
      }
      await this.#sendBatch();
    }
    await this.#options.destination.close();
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#batch();
    try {
      const refused = await this.#options.destination.send(batch);
      this.#remove(batch, refused);
      this.#changed(null);
    } catch (cause) {
      this.#changed(causeText(cause));
      if (cause instanceof RefusedError) this.#remove(batch, batch.length);
      else await sleep(this.#backoff.next(), this.#stop.signal);
      return;
    }
    this.#backoff.reset();
    if (this.#untold > 0) this.#tell();
  }

  #batch(): Uint8Array[] {
    let bytes = 0;
    const end = this.#items.findIndex((item, index) => {
      bytes += item.length;
      return index > 0 && (index >= BATCH_ITEMS || bytes > BATCH_BYTES);
    });
    return this.#items.slice(0, end < 0 ? this.#items.length : end);
  }

  #remove(batch: readonly Uint8Array[], refused: number): void {
    this.#items.splice(0, batch.length);
    this.#bytes -= batch.reduce((sum, { length }) => sum + length, 0);
    this.#counts.taken += batch.length - refused;
    this.#counts.refused += refused;
    this.#untold += refused;
  }

  /** At the place where they are missing: nothing has come since there is room. */
  #tell(): void {
    const record: LostEvent = { time: new Date().toISOString(), type: "lost", where: "export", count: this.#untold };
    this.#untold = 0;
    this.#push(this.#options.destination.encode({ ...record }, JSON.stringify(record)));
  }

  #changed(problem: string | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onProblem(problem);
  }
}
