/**
 * Keys that have to be looked at. A key is in it once however often it is added, is looked at by one worker at a time, and
 * goes to the end if it is added meanwhile: none can hold up the others. After a failure it comes back, later each time.
 */
import { Backoff, type BackoffOptions } from "./backoff.ts";

export const DEFAULT_BACKOFF: BackoffOptions = { initial: 20, maximum: 60_000 };

export class WorkQueue {
  readonly #backoffOptions: BackoffOptions;
  /** In order; a Set keeps the order of insertion. */
  readonly #waiting = new Set<string>();
  readonly #processing = new Set<string>();
  /** Added while they were being looked at. */
  readonly #again = new Set<string>();
  readonly #backoffs = new Map<string, Backoff>();
  readonly #timers = new Map<string, { timer: NodeJS.Timeout; at: number }>();
  #takers: ((key: string | null) => void)[] = [];
  #closed = false;

  constructor(backoff: BackoffOptions = DEFAULT_BACKOFF) {
    this.#backoffOptions = backoff;
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#waiting.size;
  }

  /** Keys that wait for their time to come. */
  get delayed(): number {
    return this.#timers.size;
  }

  /** Nothing to do now, and nobody doing it. */
  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#processing.size === 0;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      this.#again.add(key);
      return;
    }
    const taker = this.#takers.shift();
    if (taker === undefined) {
      this.#waiting.add(key);
      return;
    }
    this.#processing.add(key);
    taker(key);
  }

  /** Adds the key after so many milliseconds; the soonest of several times counts. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#closed) return;
    const at = Date.now() + milliseconds;
    const earlier = this.#timers.get(key);
    if (earlier !== undefined && earlier.at <= at) return;
    if (earlier !== undefined) clearTimeout(earlier.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.add(key);
    }, milliseconds);
    this.#timers.set(key, { timer, at });
  }

  /** Adds the key again after a failure. Returns the milliseconds until then. */
  retry(key: string, atLeast = 0): number {
    let backoff = this.#backoffs.get(key);
    if (backoff === undefined) {
      backoff = new Backoff(this.#backoffOptions);
      this.#backoffs.set(key, backoff);
    }
    const delay = Math.max(backoff.next(), atLeast);
    this.addAfter(key, delay);
    return delay;
  }

  /** The key's failures are over. */
  forget(key: string): void {
    this.#backoffs.delete(key);
  }

  /** The next key, null once the queue is closed. The worker has to call `done`. */
  take(): Promise<string | null> {
    if (this.#closed) return Promise.resolve(null);
    const next = this.takeNow();
    if (next !== null) return Promise.resolve(next);
    return new Promise((settle) => this.#takers.push(settle));
  }

  /** The next key if there is one now. */
  takeNow(): string | null {
    const [key] = this.#waiting;
    if (key === undefined) return null;
    this.#waiting.delete(key);
    this.#processing.add(key);
    return key;
  }

  /** The worker has finished with the key, one way or the other. */
  done(key: string): void {
    this.#processing.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Ends all waiting; what waits is dropped. */
  close(): void {
    this.#closed = true;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting.clear();
    this.#again.clear();
    for (const taker of this.#takers) taker(null);
    this.#takers = [];
  }
}
