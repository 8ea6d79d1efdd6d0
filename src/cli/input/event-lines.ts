/** Events that an agent, `run` or `observe` has written, one JSON object a line. */
import { closeSync, openSync, readSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { causeText, fileFault, UsageError } from "../../api/errors.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { checkEvent } from "../../flow/schema.ts";
import { standardInput } from "./standard-input.ts";

const STANDARD_INPUT = "-";
const CHUNK = 1_048_576;

/**
 * The events of a file, as they come: of a pipe, no more is waited for than the caller takes. The summary that `run` ends with is none.
 * @param path `-`: standard input
 * @param option that names the path, for messages
 * @throws UsageError where it cannot be read, or a line is no event
 */
export function* readEvents(path: string, option: string): Generator<AgentEvent> {
  let number = 0;
  for (const line of linesOf(path, option)) {
    number += 1;
    if (line.trim() === "") continue;
    const event = parseEvent(line, `${option} ${path}: line ${number}`);
    if (event !== null) yield event;
  }
}

function* linesOf(path: string, option: string): Generator<string> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  try {
    for (const chunk of path === STANDARD_INPUT ? standardInput() : chunksOf(path)) {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (cause) {
    if (cause instanceof UsageError) throw cause;
    throw new UsageError(`${option}: cannot read ${path}: ${fileFault(cause)}`, { cause });
  }
  yield rest + decoder.end();
}

function* chunksOf(path: string): Generator<Buffer> {
  const file = openSync(path, "r");
  try {
    for (;;) {
      const chunk = Buffer.alloc(CHUNK);
      const length = readSync(file, chunk);
      if (length === 0) return;
      yield chunk.subarray(0, length);
    }
  } finally {
    closeSync(file);
  }
}

/** Null for the summary of `run`. */
function parseEvent(line: string, where: string): AgentEvent | null {
  try {
    const value: unknown = JSON.parse(line);
    return isSummary(value) ? null : checkEvent(value);
  } catch (cause) {
    throw new UsageError(`${where} is no event: ${causeText(cause)}`, { cause });
  }
}

function isSummary(value: unknown): boolean {
  return typeof value === "object" && value !== null && "type" in value && value.type === "summary";
}
