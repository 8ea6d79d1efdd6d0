/** When to connect again: with a delay that grows, and differs from one agent to the next. Pure. */

export interface BackoffOptions {
  /** Milliseconds of the first delay, and of the longest. */
  first: number;
  longest: number;
  /** The longest where an operator that does not lead has answered: there will be a leader within a Lease's time. */
  longestAnswered: number;
  /** From 0 to 1. */
  random: () => number;
}

export const DEFAULT_BACKOFF: BackoffOptions = {
  first: 500,
  longest: 30_000,
  longestAnswered: 4_000,
  random: Math.random,
};

/** So many times between two waits a leader is gone to at once; operators that send an agent round and round are waited for. */
const REDIRECTS_MAX = 3;

export class Reconnect {
  readonly #options: BackoffOptions;
  #failures = 0;
  #redirects = 0;
  #answered = false;
  #longest: number;

  constructor(options: BackoffOptions = DEFAULT_BACKOFF) {
    this.#options = options;
    this.#longest = options.longest;
  }

  /**
   * A connection was good: the next failure is a first one.
   * @param longest milliseconds that the operator finds long enough for the longest delay; 0: it has not said
   */
  succeeded(longest = 0): void {
    if (longest > 0) this.#longest = Math.min(this.#options.longest, Math.max(this.#options.first, longest));
    this.#failures = 0;
    this.#redirects = 0;
    this.#answered = false;
  }

  /** An operator that does not lead has said so. */
  answered(): void {
    this.#answered = true;
  }

  /** Milliseconds to wait after a failure: half of it fixed, half by chance, so that a thousand agents do not come at once. */
  nextDelay(): number {
    const { first, longestAnswered, random } = this.#options;
    const longest = this.#answered ? Math.min(longestAnswered, this.#longest) : this.#longest;
    const ceiling = Math.min(longest, first * 2 ** this.#failures);
    this.#answered = false;
    this.#redirects = 0;
    this.#failures = Math.min(this.#failures + 1, 30);
    return Math.round(ceiling / 2 + (random() * ceiling) / 2);
  }

  /** Whether the named leader may be gone to at once. */
  mayRedirect(): boolean {
    this.#redirects += 1;
    return this.#redirects <= REDIRECTS_MAX;
  }
}
