/** Records from a file, or from standard input: lines as an agent, `run` and `observe -o json` write them. */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { fileFault, PortcullisError, UsageError } from "../../api/errors.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { checkEvent, EventFormatError } from "../../flow/schema.ts";

/** A file that cannot be read, is no file of records, or not all of one. Code PC_OBSERVE_INPUT. */
export class InputError extends UsageError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options, "PC_OBSERVE_INPUT");
  }
}

const NO_JSON = "it is not JSON; is this a file of records, as -o json writes them?";
const CUT_OFF = "it is cut off; is the file whole?";
/** Characters. A record has some hundreds. */
const LINE_MAX = 1_048_576;

export interface RecordLine {
  record: AgentEvent;
  /** As it came. */
  line: string;
}

/**
 * As they come: of a pipe, no more is waited for than the caller takes.
 * @param file `-`: standard input
 * @throws InputError naming the line that is no record, or is cut off
 */
export async function* readRecords(file: string): AsyncGenerator<RecordLine> {
  const name = file === "-" ? "standard input" : file;
  let rest = "";
  let number = 0;
  for await (const text of textOf(file, name)) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      number += 1;
      const record = line.trim() === "" ? null : recordOf(line, `${name}, line ${number}`, NO_JSON);
      if (record !== null) yield { record, line };
    }
    if (rest.length > LINE_MAX) throw new InputError(`${name}, line ${number + 1}: it is longer than a record can be`);
  }
  // The last one needs no newline behind it, if it is there as a whole.
  const last = rest.trim() === "" ? null : recordOf(rest, `${name}, line ${number + 1}`, CUT_OFF);
  if (last !== null) yield { record: last, line: rest };
}

/** @throws InputError */
async function* textOf(file: string, name: string): AsyncGenerator<string> {
  const input: Readable = file === "-" ? process.stdin : createReadStream(file);
  try {
    yield* input.setEncoding("utf8") as AsyncIterable<string>;
  } catch (cause) {
    if (cause instanceof PortcullisError) throw cause;
    throw new InputError(`cannot read ${name}: ${fileFault(cause)}`, { cause });
  }
}

/** Null for the summary that `run` ends with. */
function recordOf(line: string, where: string, ifNoJson: string): AgentEvent | null {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new InputError(`${where}: ${ifNoJson}`, { cause });
  }
  if (typeof value === "object" && value !== null && "type" in value && value.type === "summary") return null;
  try {
    return checkEvent(value);
  } catch (cause) {
    if (cause instanceof EventFormatError) throw new InputError(`${where}: ${cause.message}`, { cause });
    throw cause;
  }
}
