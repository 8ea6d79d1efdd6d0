/** Options of the records that the agent keeps on disk, and the start of keeping them. */
import { join } from "node:path";
import { type Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import type { ExportSettings } from "../../export/settings.ts";
import type { FlowSettings } from "../../node-agent/enforce/tables/settings.ts";
import { OBSERVE_SOCKET, RECORDS_FOLDER } from "../../node-agent/records/paths.ts";
import { Records, type RecordsOptions } from "../../node-agent/records/records.ts";
import { formatSize, parseSize } from "../values/sizes.ts";
import { keptDirectoryOf, type PinOptions, pinsOf } from "./node-options.ts";

export interface RecordsCommandOptions extends PinOptions {
  recordsSize: number;
  /** False for --no-count-flows. */
  countFlows: boolean;
  exports?: string;
  /** False for --no-tcp-figures. */
  tcpFigures: boolean;
  node: string;
}

const DEFAULT_SIZE = 2 ** 30;
/** Of less than this, next to nothing would stay. */
const SIZE_MIN = 2 ** 20;

export function addRecordsOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--records-size <size>", "disk space for records, which `portcullis observe` shows; 0: none are kept")
        .argParser(sizeOf)
        .default(DEFAULT_SIZE, formatSize(DEFAULT_SIZE)),
    )
    .option("--exports <file>", "where records go beside that: files, receivers of OTLP (docs/export.md)")
    .option("--no-count-flows", "do not count packets and bytes of each flow for the records")
    .option("--no-tcp-figures", "do not read what TCP knows of each connection: round trips, losses, how it failed");
}

/** All of it is for the records: where none are kept or exported, nobody pays for it. */
export function flowSettings({ recordsSize, exports, countFlows, tcpFigures }: RecordsCommandOptions): FlowSettings {
  const isCounted = (recordsSize > 0 || exports !== undefined) && countFlows;
  return { countFlows: isCounted, readTcp: isCounted && tcpFigures };
}

/** What is to be exported. What reads it takes memory, which an agent without exports has other uses for. @throws ExportsError */
export async function exportsOf({ exports }: RecordsCommandOptions): Promise<ExportSettings[]> {
  if (exports === undefined) return [];
  const { readExports } = await import("../input/exports.ts");
  return readExports(exports);
}

/** Where records are kept: with what else is good after a reboot. */
export function recordsFolder(options: PinOptions): string {
  return join(keptDirectoryOf(options), RECORDS_FOLDER);
}

/** Begins to keep and to export records; null: neither is wanted. */
export function keepRecords(
  options: RecordsCommandOptions,
  more: Pick<RecordsOptions, "log" | "exports" | "serve" | "onExports" | "onLost">,
): Records | null {
  if (options.recordsSize === 0 && more.exports.length === 0) return null;
  return new Records({
    folder: recordsFolder(options),
    limit: options.recordsSize,
    socket: join(pinsOf(options).stateDirectory, OBSERVE_SOCKET),
    node: options.node,
    ...more,
  });
}

function sizeOf(text: string): number {
  const size = parseSize(text);
  if (size !== 0 && size < SIZE_MIN) {
    throw new UsageError(
      `--records-size: ${formatSize(size)} is too little; give ${formatSize(SIZE_MIN)} or more, or 0 for none`,
    );
  }
  return size;
}
