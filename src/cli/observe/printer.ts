/** Records on standard output, in one of the formats. */
import { once } from "node:events";
import { printableJson } from "../../api/printable.ts";
import { compactLine, dictLines, protobufLine } from "../../flow/line-text.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { EventText } from "../../flow/text.ts";
import { wantsColours } from "../../terminal/colours.ts";
import { lineWidth } from "../../terminal/width.ts";

export const OBSERVE_FORMATS = ["compact", "dict", "json", "jsonpb", "table"] as const;
export type ObserveFormat = (typeof OBSERVE_FORMATS)[number];

type Format = (record: AgentEvent, line: string) => string | null;

/** Writes records; a reader that is slow makes the writer wait. */
export class RecordPrinter {
  readonly #format: Format;

  constructor(format: ObserveFormat) {
    this.#format = formatOf(format);
  }

  /** @param line the record as it came */
  async print(record: AgentEvent, line: string): Promise<void> {
    const text = this.#format(record, line);
    if (text !== null && !process.stdout.write(`${text}\n`)) await once(process.stdout, "drain");
  }
}

function formatOf(format: ObserveFormat): Format {
  if (format === "json") return (_, line) => printableJson(line);
  if (format === "jsonpb") return protobufLine;
  if (format === "compact") return compactLine;
  if (format === "dict") return dicts();
  const { stdout } = process;
  const text = new EventText({ colours: wantsColours(stdout), width: lineWidth(stdout), oneWorkload: false });
  return (record) => text.lines(record);
}

/** One below the other, a rule between them. */
function dicts(): Format {
  let rule = "";
  return (record) => {
    const text = `${rule}${dictLines(record)}`;
    rule = "------------\n";
    return text;
  };
}
