/** What takes events: each exporter is one, and whatever else reads along. */
import type { AgentEvent } from "../flow/record.ts";

export interface EventSink {
  /** Never throws and never waits. */
  write(event: AgentEvent): void;
  /** Settles when everything written has been handed to the system, or the reader is gone. */
  end(): Promise<void>;
}
