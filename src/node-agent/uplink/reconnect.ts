/** When to connect again: with a delay that grows, and differs from one agent to the next. Pure. */
import { Backoff, type BackoffOptions } from "../../timing/backoff.ts";

export interface ReconnectOptions extends BackoffOptions {
  /** The longest wait where an operator that does not lead has answered: there will be a leader within a Lease's time. */
  maximumAnswered: number;
}

export const DEFAULT_RECONNECT: ReconnectOptions = { initial: 500, maximum: 30_000, maximumAnswered: 4_000 };

/** So many times between two waits a leader is gone to at once; operators that send an agent round and round are waited for. */
const REDIRECTS_MAX = 3;

export class Reconnect {
  readonly #options: ReconnectOptions;
  readonly #backoff: Backoff;
  #redirects = 0;
  #answered = false;
  #maximum: number;

  constructor(options: ReconnectOptions = DEFAULT_RECONNECT) {
    this.#options = options;
    this.#backoff = new Backoff(options);
    this.#maximum = options.maximum;
  }

  /**
   * A connection was good: the next failure is a first one.
   * @param longest milliseconds that the operator finds long enough for the longest delay; 0: it has not said
   */
  succeeded(longest = 0): void {
    const { initial, maximum } = this.#options;
    if (longest > 0) this.#maximum = Math.min(maximum, Math.max(initial, longest));
    this.#backoff.reset();
    this.#redirects = 0;
    this.#answered = false;
  }

  /** An operator that does not lead has said so. */
  answered(): void {
    this.#answered = true;
  }

  /** Milliseconds to wait after a failure. */
  nextDelay(): number {
    const maximum = this.#answered ? Math.min(this.#options.maximumAnswered, this.#maximum) : this.#maximum;
    this.#answered = false;
    this.#redirects = 0;
    return Math.round(this.#backoff.next(maximum));
  }

  /** Whether the named leader may be gone to at once. */
  mayRedirect(): boolean {
    this.#redirects += 1;
    return this.#redirects <= REDIRECTS_MAX;
  }
}
