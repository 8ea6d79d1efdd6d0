/** What the agent's main thread and the thread that keeps its records say to each other. */
import { jsonText } from "../../api/printable.ts";
import type { ExportSettings, ExportState } from "../../export/settings.ts";
import type { AgentEvent } from "../../flow/record.ts";
import type { ServeSettings } from "../../hubble/server.ts";

/** A record, ready to be kept. */
export interface KeptLine {
  /** Of its workload; empty: it is of none. */
  namespace: string;
  name: string;
  /** Milliseconds since 1970. */
  time: number;
  /** How many events it says are missing. */
  lost: number;
  /** JSON without a newline. */
  line: string;
}

export interface RecordsWorkerData {
  folder: string;
  /** Bytes that all segments may have together; 0: nothing is kept. */
  limit: number;
  socket: string;
  /** Name of the node, which every record has. */
  node: string;
  exports: readonly ExportSettings[];
  /** Where Hubble's clients may ask; null: nowhere. */
  serve: ServeSettings | null;
}

/** Records in the order in which they came. `characters` comes back when they have been taken. */
export interface BatchMessage {
  type: "batch";
  lines: KeptLine[];
  characters: number;
}

export type ToWorker = BatchMessage | { type: "end" };

/** How the keeping goes. */
export interface RecordsState {
  segments: number;
  bytes: number;
  /** Segments that could be read in part only. */
  damaged: number;
  /** Why nothing can be kept, or nobody can ask; null: all is well. */
  problem: string | null;
}

export type FromWorker =
  | { type: "taken"; characters: number }
  | { type: "state"; state: RecordsState }
  | { type: "warning"; message: string }
  | { type: "exports"; states: ExportState[] }
  | { type: "lost"; where: "disk"; count: number }
  | { type: "ended" };

/** What is kept of a record. */
export function keptLine(record: AgentEvent): KeptLine {
  const { namespace, name } = "workload" in record ? record.workload : { namespace: "", name: "" };
  const lost = record.type === "lost" ? record.count : 0;
  return { namespace, name, time: Date.parse(record.time), lost, line: jsonText(record) };
}

/** What was kept, read again. */
export function lineOf(line: string): KeptLine {
  return { ...keptLine(JSON.parse(line) as AgentEvent), line };
}
