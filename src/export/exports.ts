/** All exports of an agent: each takes the records that it is to have, in the form that it is to have them. */
import { fieldMask, type MaskedRecord } from "../flow/field-mask.ts";
import { selectionFilter } from "../flow/filters/filter.ts";
import type { AgentEvent } from "../flow/record.ts";
import type { Destination } from "./destination.ts";
import { ExportQueue } from "./export-queue.ts";
import { RotatingFile } from "./file/rotating-file.ts";
import { OtlpLogs } from "./otlp/otlp-logs.ts";
import type { ExportSettings, ExportState } from "./settings.ts";

interface Export {
  queue: ExportQueue;
  offer(record: AgentEvent, line: string): void;
}

export class Exports {
  readonly #exports: Export[];

  /** @param node name of the node @throws FilterError */
  constructor(settings: readonly ExportSettings[], node: string, onWarning: (message: string) => void) {
    this.#exports = settings.map((one) => exportOf(one, node, onWarning));
  }

  /** Never waits. */
  take(lines: readonly { line: string }[]): void {
    if (this.#exports.length === 0) return;
    for (const { line } of lines) {
      const record = JSON.parse(line) as AgentEvent;
      for (const one of this.#exports) one.offer(record, line);
    }
  }

  /** Counts begin anew. */
  takeStates(): ExportState[] {
    return this.#exports.map(({ queue }) => queue.takeState());
  }

  /** Sends what waits, for so many milliseconds at most. */
  async end(milliseconds: number): Promise<void> {
    await Promise.all(this.#exports.map(({ queue }) => queue.end(milliseconds)));
  }
}

function exportOf(settings: ExportSettings, node: string, onWarning: (message: string) => void): Export {
  const { name, fields, queue: limit } = settings;
  const takes = selectionFilter(settings);
  const mask = fields.length === 0 ? null : fieldMask(fields);
  const destination = destinationOf(settings, node);
  const onProblem = (problem: string | null) =>
    onWarning(
      problem === null
        ? `the export ${name} goes on`
        : `the export ${name} stands: ${problem}; judging does not depend on it`,
    );
  const queue = new ExportQueue({ name, destination, limit, onProblem });
  return {
    queue,
    offer(record, line) {
      // Whoever reads an export learns what is missing in it, whatever else they want.
      const isLoss = record.type === "lost";
      if (!isLoss && !takes(record)) return;
      const part: MaskedRecord = isLoss || mask === null ? { ...record } : mask(record);
      queue.offer(destination.encode(part, isLoss || mask === null ? line : JSON.stringify(part)));
    },
  };
}

function destinationOf({ to }: ExportSettings, node: string): Destination {
  return to.kind === "file" ? new RotatingFile(to) : new OtlpLogs(to, node);
}
