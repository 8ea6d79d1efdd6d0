/** Limits how often something may happen: so many at once, and so many a second after that. */
export class TokenBucket {
  readonly #capacity: number;
  readonly #perSecond: number;
  #tokens: number;
  #at = performance.now();

  constructor(capacity: number, perSecond: number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
    this.#tokens = capacity;
  }

  /** Whether it may happen now; counts it if so. */
  take(): boolean {
    if (!this.has()) return false;
    this.spend(1);
    return true;
  }

  /** It has happened, and is worth so many, which may be more than there are. */
  spend(tokens: number): void {
    this.#tokens -= tokens;
  }

  /** Whether it might happen now. */
  has(): boolean {
    const now = performance.now();
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    return this.#tokens >= 1;
  }

  /** Nothing has happened for a while. */
  isFull(): boolean {
    this.has();
    return this.#tokens >= this.#capacity;
  }
}
