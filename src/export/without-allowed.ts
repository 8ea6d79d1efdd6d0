/** Keeps allowed flows, their first packets and their counts, from a reader that has not asked for them, while another one has. */
import type { AgentEvent } from "../flow/record.ts";
import type { EventSink } from "./sink.ts";

export class WithoutAllowed implements EventSink {
  readonly #sink: EventSink;

  constructor(sink: EventSink) {
    this.#sink = sink;
  }

  write(event: AgentEvent): void {
    const isOfFlow = event.type === "verdict" || event.type === "flow";
    if (!isOfFlow || event.verdict !== "allowed") this.#sink.write(event);
  }

  end(): Promise<void> {
    return this.#sink.end();
  }
}
