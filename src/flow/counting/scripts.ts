/** Scripts of processes, for records that have only their interpreters: the record of a flow that has ended knows no more. */
import { type AgentEvent, isTraffic } from "../record.ts";

/** Processes whose scripts are kept. */
const SCRIPTS_MAX = 50_000;

export class Scripts {
  /** By the processes' keys. */
  readonly #scripts = new Map<string, string>();

  /** The record, with the script of its process where an earlier one of that process had it. */
  completed(record: AgentEvent): AgentEvent {
    if (!isTraffic(record) || record.process?.key === undefined) return record;
    const { key, script } = record.process;
    if (script !== undefined) {
      if (this.#scripts.size < SCRIPTS_MAX) this.#scripts.set(key, script);
      return record;
    }
    const known = this.#scripts.get(key);
    return known === undefined ? record : { ...record, process: { ...record.process, script: known } };
  }
}
