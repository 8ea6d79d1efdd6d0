/** Waiting longer after each failure, and never in step with others. */

export interface BackoffOptions {
  /** Milliseconds before the first retry. */
  initial: number;
  /** The longest wait in milliseconds. */
  maximum: number;
  /** Numbers from 0 to below 1; for tests. */
  random?: () => number;
}

/** Doubles from `initial` to `maximum`, each wait anywhere in its upper half. */
export class Backoff {
  readonly #options: BackoffOptions;
  #failures = 0;

  constructor(options: BackoffOptions) {
    this.#options = options;
  }

  /** Milliseconds to wait after one more failure. @param maximum of this wait, where it is another than usual */
  next(maximum = this.#options.maximum): number {
    const { initial, random = Math.random } = this.#options;
    // 2^30 times the initial wait is beyond any maximum.
    const whole = Math.min(maximum, initial * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return whole * (0.5 + random() / 2);
  }

  /** Failures since the last success. */
  get failures(): number {
    return this.#failures;
  }

  reset(): void {
    this.#failures = 0;
  }
}
