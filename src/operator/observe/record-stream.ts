/**
 * What goes to one observer: lines. An observer that reads too slowly gets the number of records that were left out, and one
 * that does not read at all is let go; neither costs more than a buffer.
 */

import type { Writable } from "node:stream";
import type { ObserveRecord } from "../../protocol/observe.ts";
import { steadyNow } from "../../timing/steady-time.ts";

export interface RecordStreamOptions {
  /** Bytes that may wait for the reader. */
  bufferLimit?: number;
  /** Milliseconds after which a silent stream says that it lives. */
  aliveInterval?: number;
  /** Milliseconds after which a reader who takes nothing is let go. */
  stallLimit?: number;
}

const DEFAULTS: Required<RecordStreamOptions> = {
  bufferLimit: 1024 * 1024,
  aliveInterval: 15_000,
  stallLimit: 60_000,
};

export class RecordStream {
  readonly #output: Writable;
  readonly #options: Required<RecordStreamOptions>;
  readonly #alive: NodeJS.Timeout;
  readonly #onEnd: () => void;
  #lost = 0;
  #lastLine = steadyNow();
  /** Since when the reader has taken nothing; null: there is room. */
  #stalledSince: number | null = null;
  #ended = false;

  /** @param onEnd called once, whoever ends it */
  constructor(output: Writable, onEnd: () => void, options: RecordStreamOptions = {}) {
    this.#output = output;
    this.#onEnd = onEnd;
    this.#options = { ...DEFAULTS, ...options };
    this.#alive = setInterval(() => this.#checkReader(), this.#options.aliveInterval);
    output.on("drain", () => this.#drained());
    output.on("error", () => this.#finish());
    output.on("close", () => this.#finish());
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Of an agent: JSON on one line, left out where the reader is too slow. */
  event(line: string): void {
    if (this.#ended) return;
    if (this.#output.writableLength > this.#options.bufferLimit) {
      this.#lost += 1;
      this.#stalledSince ??= steadyNow();
      return;
    }
    this.#writeLost();
    this.#write(line);
  }

  /** Of the operator: never left out, and rare. */
  record(record: ObserveRecord): void {
    if (!this.#ended) this.#write(JSON.stringify(record));
  }

  /** The last words. */
  end(message: string, again: boolean): void {
    if (this.#ended) return;
    this.#writeLost();
    this.record({ type: "end", time: now(), message, again });
    this.#output.end();
    // Who does not read does not hear that either.
    setTimeout(() => this.#output.destroy(), this.#options.stallLimit).unref();
    this.#finish();
  }

  #write(line: string): void {
    this.#lastLine = steadyNow();
    if (!this.#output.write(`${line}\n`)) this.#stalledSince ??= steadyNow();
  }

  #drained(): void {
    this.#stalledSince = null;
    this.#writeLost();
  }

  #writeLost(): void {
    if (this.#lost === 0) return;
    const count = this.#lost;
    this.#lost = 0;
    this.record({ type: "lost", time: now(), where: "operator", count });
  }

  #checkReader(): void {
    const { stallLimit, aliveInterval } = this.#options;
    if (this.#stalledSince !== null && steadyNow() - this.#stalledSince > stallLimit) {
      this.#output.destroy();
      this.#finish();
    } else if (this.#stalledSince === null && steadyNow() - this.#lastLine >= aliveInterval) {
      this.record({ type: "alive", time: now() });
    }
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#alive);
    this.#onEnd();
  }
}

function now(): string {
  return new Date().toISOString();
}
