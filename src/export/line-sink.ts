/** Events as lines on a stream. A reader that is too slow costs it events, which are counted, never memory. */

import type { Writable } from "node:stream";
import { jsonText } from "../api/printable.ts";
import { type AgentEvent, isTraffic } from "../flow/record.ts";
import { EventText, type EventTextOptions } from "../flow/text.ts";
import type { EventSink } from "./sink.ts";

export const OUTPUT_FORMATS = ["text", "json"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

export interface LineSinkOptions extends Partial<EventTextOptions> {
  format: OutputFormat;
  /** Bytes that may wait for the reader before verdicts are left out. */
  bufferLimit?: number;
  now?: () => Date;
}

const DEFAULT_BUFFER_LIMIT = 4 * 1024 * 1024;

/** Lines on a stream, standard output as a rule. */
export class LineSink implements EventSink {
  readonly #stream: Writable;
  readonly #format: (event: AgentEvent) => string;
  readonly #bufferLimit: number;
  readonly #now: () => Date;
  #left = 0;
  #closed = false;

  constructor(stream: Writable, options: LineSinkOptions) {
    this.#stream = stream;
    this.#format = formatter(options);
    this.#bufferLimit = options.bufferLimit ?? DEFAULT_BUFFER_LIMIT;
    this.#now = options.now ?? (() => new Date());
    stream.on("drain", () => this.#reportLeft());
    // A reader that has gone (`agent | head`) ends the output, not the agent: enforcement does not depend on it.
    stream.on("error", () => {
      this.#closed = true;
    });
  }

  write(event: AgentEvent): void {
    if (this.#closed) return;
    // What has happened to the policy itself is rare and is always written; only the stream of verdicts is cut.
    if (isTraffic(event) && this.#stream.writableLength > this.#bufferLimit) {
      this.#left += 1;
      return;
    }
    this.#reportLeft();
    this.#writeLine(event);
  }

  /** True once the reader has gone. */
  get closed(): boolean {
    return this.#closed;
  }

  async end(): Promise<void> {
    if (this.#closed) return;
    this.#writeLeft();
    await new Promise<void>((resolve) => {
      this.#stream.once("error", () => resolve());
      this.#stream.write("", () => resolve());
    });
  }

  #reportLeft(): void {
    if (this.#stream.writableLength <= this.#bufferLimit) this.#writeLeft();
  }

  #writeLeft(): void {
    if (this.#left === 0) return;
    const count = this.#left;
    this.#left = 0;
    this.#writeLine({ time: this.#now().toISOString(), type: "lost", where: "output", count });
  }

  #writeLine(event: AgentEvent): void {
    this.#gather();
    this.#stream.write(`${this.#format(event)}\n`);
  }

  /** Lines that are written in one turn leave together: one system call for a batch of events, not one for each. */
  #gather(): void {
    if (this.#stream.writableCorked > 0) return;
    this.#stream.cork();
    process.nextTick(() => this.#stream.uncork());
  }
}

function formatter(options: LineSinkOptions): (event: AgentEvent) => string {
  if (options.format === "json") return (event) => jsonText(event);
  const { colours = false, width = Number.POSITIVE_INFINITY, oneWorkload = false } = options;
  const text = new EventText({ colours, width, oneWorkload });
  return (event) => text.lines(event);
}
