/** What every criterion becomes. */
import type { AgentEvent } from "../record.ts";

export type RecordFilter = (record: AgentEvent) => boolean;
