/** One stream of events for several readers. */
import type { AgentEvent } from "../flow/record.ts";
import type { EventSink } from "./sink.ts";

export class TeeSink implements EventSink {
  readonly #sinks: readonly EventSink[];

  constructor(sinks: readonly EventSink[]) {
    this.#sinks = sinks;
  }

  write(event: AgentEvent): void {
    for (const sink of this.#sinks) sink.write(event);
  }

  async end(): Promise<void> {
    await Promise.all(this.#sinks.map((sink) => sink.end()));
  }
}
