/** Somebody who reads records as they come. One that is too slow loses records, which are counted; memory has a bound. */
import type { AgentEvent } from "../../flow/record.ts";
import type { AnswerSink } from "./keeper.ts";
import { type KeptLine, keptLine } from "./messages.ts";

/** Characters of lines that may wait. */
const WAITING_MAX = 2 * 1024 * 1024;

export class Follower {
  readonly #takes: (record: AgentEvent) => boolean;
  #waiting: string[] = [];
  #characters = 0;
  #left = 0;
  #lost = 0;
  #ended = false;
  #wake: () => void = () => {};

  constructor(takes: (record: AgentEvent) => boolean) {
    this.#takes = takes;
  }

  /** Events that were lost: on their way here, or because they were not read. */
  get lost(): number {
    return this.#lost;
  }

  offer({ line, lost }: KeptLine): void {
    this.#lost += lost;
    // Whoever follows is told of what is missing, whatever else they want.
    if (lost === 0 && !this.#takes(JSON.parse(line) as AgentEvent)) return;
    if (this.#characters + line.length > WAITING_MAX) {
      this.#left += 1;
      this.#lost += 1;
      return;
    }
    this.#waiting.push(line);
    this.#characters += line.length;
    this.#wake();
  }

  /** Nothing more comes. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Writes what comes, until `count` lines have been written, or it ends; false: nobody reads any more. */
  async run(sink: AnswerSink, count = Number.POSITIVE_INFINITY): Promise<boolean> {
    const stop = () => this.#wake();
    sink.signal.addEventListener("abort", stop);
    try {
      for (let left = count; left > 0; ) {
        if (sink.signal.aborted) return false;
        const lines = this.#takeWaiting().slice(0, left);
        left -= lines.length;
        if (lines.length > 0 && !(await sink.write(lines))) return false;
        if (lines.length > 0) continue;
        if (this.#ended) return true;
        await new Promise<void>((settle) => {
          this.#wake = settle;
        });
      }
      return true;
    } finally {
      sink.signal.removeEventListener("abort", stop);
    }
  }

  #takeWaiting(): string[] {
    const lines = this.#waiting;
    if (this.#left > 0) lines.push(keptLine(this.#lostRecord()).line);
    this.#waiting = [];
    this.#characters = 0;
    this.#left = 0;
    return lines;
  }

  #lostRecord(): AgentEvent {
    return { time: new Date().toISOString(), type: "lost", where: "output", count: this.#left };
  }
}
