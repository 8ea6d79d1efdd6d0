/**
 * Keys that have to be looked at. A key is in it once however often it is added, is looked at by one worker at a time, and
 * goes to the end if it is added meanwhile: none can hold up the others. Groups of keys take turns, so that one with many holds up
 * no other either, and one whose keys take long may be made to rest. After a failure a key comes back, later each time.
 */

import { Backoff, type BackoffOptions } from "../timing/backoff.ts";
import { steadyNow } from "../timing/steady-time.ts";

export const DEFAULT_BACKOFF: BackoffOptions = { initial: 20, maximum: 60_000 };

export class WorkQueue {
  readonly #backoffOptions: BackoffOptions;
  readonly #groupOf: (key: string) => string;
  readonly #atOnce: number;
  /** By group, the one whose turn is next first. Keys in order: a Set keeps the order of insertion. */
  readonly #waiting = new Map<string, Set<string>>();
  #depth = 0;
  /** Groups that rest, and until when. */
  readonly #resting = new Map<string, number>();
  #wake: NodeJS.Timeout | null = null;
  /** With the group that each is of. */
  readonly #processing = new Map<string, string>();
  /** How many keys of a group are being looked at. */
  readonly #busy = new Map<string, number>();
  /** Added while they were being looked at. */
  readonly #again = new Set<string>();
  readonly #backoffs = new Map<string, Backoff>();
  readonly #timers = new Map<string, { timer: NodeJS.Timeout; at: number }>();
  #takers: ((key: string | null) => void)[] = [];
  #closed = false;

  /**
   * @param groupOf the group that a key belongs to; all are of one where absent
   * @param atOnce keys of one group that may be looked at at once, so that it leaves workers to others
   */
  constructor(
    backoff: BackoffOptions = DEFAULT_BACKOFF,
    groupOf: (key: string) => string = () => "",
    atOnce = Number.POSITIVE_INFINITY,
  ) {
    this.#backoffOptions = backoff;
    this.#groupOf = groupOf;
    this.#atOnce = atOnce;
  }

  /** Keys that wait for a worker. */
  get depth(): number {
    return this.#depth;
  }

  /** Keys that wait for their time to come. */
  get delayed(): number {
    return this.#timers.size;
  }

  /** Nothing to do now, and nobody doing it. */
  get isIdle(): boolean {
    return this.#depth === 0 && this.#processing.size === 0;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#processing.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#wait(key);
    this.#hand();
  }

  /** Nothing of the group is taken for so many milliseconds, so that others find a worker free. */
  rest(group: string, milliseconds: number): void {
    this.#resting.set(group, steadyNow() + milliseconds);
  }

  /** Adds the key after so many milliseconds; the soonest of several times counts. */
  addAfter(key: string, milliseconds: number): void {
    if (this.#closed) return;
    const at = steadyNow() + milliseconds;
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
    const group = this.#nextGroup();
    if (group === null) return null;
    const keys = this.#waiting.get(group) as Set<string>;
    const [key] = keys;
    keys.delete(key as string);
    this.#depth -= 1;
    // To the end of the groups.
    this.#waiting.delete(group);
    if (keys.size > 0) this.#waiting.set(group, keys);
    this.#processing.set(key as string, group);
    this.#busy.set(group, (this.#busy.get(group) ?? 0) + 1);
    return key as string;
  }

  /** The worker has finished with the key, one way or the other. */
  done(key: string): void {
    const group = this.#processing.get(key);
    this.#processing.delete(key);
    if (group !== undefined) this.#leave(group);
    if (this.#again.delete(key)) this.add(key);
    else this.#hand();
  }

  /** Ends all waiting; what waits is dropped. */
  close(): void {
    this.#closed = true;
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    if (this.#wake !== null) clearTimeout(this.#wake);
    this.#waiting.clear();
    this.#depth = 0;
    this.#again.clear();
    for (const taker of this.#takers) taker(null);
    this.#takers = [];
  }

  /** Gives workers that wait what there is. */
  #hand(): void {
    while (this.#takers.length > 0) {
      const key = this.takeNow();
      if (key === null) return;
      this.#takers.shift()?.(key);
    }
  }

  /** The group whose turn it is; null where none waits but such that rest. */
  #nextGroup(): string | null {
    const now = steadyNow();
    for (const [group, until] of this.#resting) if (until <= now) this.#resting.delete(group);
    for (const group of this.#waiting.keys()) if (!this.#resting.has(group) && !this.#isBusy(group)) return group;
    if (this.#resting.size > 0 && !this.#closed) this.#wakeAt(Math.min(...this.#resting.values()) - now);
    return null;
  }

  #isBusy(group: string): boolean {
    return (this.#busy.get(group) ?? 0) >= this.#atOnce;
  }

  #leave(group: string): void {
    const left = (this.#busy.get(group) ?? 0) - 1;
    if (left > 0) this.#busy.set(group, left);
    else this.#busy.delete(group);
  }

  #wakeAt(milliseconds: number): void {
    if (this.#wake !== null) clearTimeout(this.#wake);
    this.#wake = setTimeout(() => this.#hand(), Math.ceil(milliseconds));
  }

  #wait(key: string): void {
    const group = this.#groupOf(key);
    const keys = this.#waiting.get(group);
    if (keys?.has(key)) return;
    if (keys === undefined) this.#waiting.set(group, new Set([key]));
    else keys.add(key);
    this.#depth += 1;
  }
}
