/** The loop of a controller: takes keys from its queue and brings what they stand for in line, one key independent of all others. */
import { setImmediate } from "node:timers/promises";
import type { Logger } from "../telemetry/logger.ts";
import { retryAfterOf } from "./errors.ts";
import { WorkQueue } from "./work-queue.ts";

/** What a controller tells of itself; see src/telemetry/metrics.ts. */
export interface ControllerMeter {
  reconciled(controller: string, seconds: number, failed: boolean): void;
}

export interface ControllerOptions {
  name: string;
  /**
   * Brings one key in line with what is wanted at this moment, whatever changed. Throws if that failed; it is called again
   * then, later each time.
   */
  reconcile: (key: string) => void | Promise<void>;
  /** Keys that may be under way at once; 1 where absent. */
  workers?: number;
  /** Where its keys come from; one of its own where absent. */
  queue?: WorkQueue;
  meter?: ControllerMeter;
  log: Logger;
}

/** A worker that never has to wait gives others a turn after this many milliseconds. */
const TURN_MS = 10;

export class Controller {
  readonly name: string;
  readonly queue: WorkQueue;
  readonly #options: ControllerOptions;
  #workers: Promise<void>[] = [];

  constructor(options: ControllerOptions) {
    this.name = options.name;
    this.#options = options;
    this.queue = options.queue ?? new WorkQueue();
  }

  /** Looks at the key soon. */
  enqueue(key: string): void {
    this.queue.add(key);
  }

  start(): void {
    if (this.#workers.length > 0) return;
    this.#workers = Array.from({ length: this.#options.workers ?? 1 }, () => this.#work());
  }

  /** Settles when the workers have finished what they were at. */
  async stop(): Promise<void> {
    this.queue.close();
    await Promise.all(this.#workers);
  }

  async #work(): Promise<void> {
    let turn = performance.now();
    for (let key = await this.queue.take(); key !== null; key = await this.queue.take()) {
      await this.#reconcile(key);
      if (performance.now() - turn < TURN_MS) continue;
      await setImmediate();
      turn = performance.now();
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { reconcile, meter, log, name } = this.#options;
    const start = performance.now();
    let failed = false;
    try {
      await reconcile(key);
      this.queue.forget(key);
    } catch (cause) {
      failed = true;
      const delay = this.queue.retry(key, retryAfterOf(cause) ?? 0);
      log.error({ err: cause, controller: name, key, retryMs: Math.round(delay) }, "a reconcile failed; trying again");
    } finally {
      this.queue.done(key);
      meter?.reconciled(name, (performance.now() - start) / 1000, failed);
    }
  }
}
