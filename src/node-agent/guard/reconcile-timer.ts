/** When the kernel is brought in line again: soon after something went wrong, and before long in any case. */

import type { Logger } from "../../telemetry/logger.ts";

/** Everything is looked at again after this long, whether or not something seems to have changed. */
const RESYNC_MS = 30_000;
/** And this soon after something went wrong. */
const RETRY_MS = 2_000;

export class ReconcileTimer {
  readonly #reconcile: () => void;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param reconcile called when the time has come */
  constructor(reconcile: () => void, log: Logger) {
    this.#reconcile = reconcile;
    this.#log = log;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Work that a timer or a source asks for. What is in force stays so if it fails; the next look tries again. */
  attempt(what: string, action: () => void): void {
    if (this.#closed) return;
    try {
      action();
    } catch (cause) {
      this.#log.error({ err: cause }, `cannot ${what}; trying again`);
      this.schedule(false);
    }
  }

  /** Sets the time of the next reconcile anew. */
  schedule(isInLine: boolean): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(this.#reconcile, isInLine ? RESYNC_MS : RETRY_MS);
  }

  close(): void {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
