/** What every question about records can be given: where the records are, of which time, and which of them count. */
import { type Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { printableLines } from "../../api/printable.ts";
import { Scripts } from "../../flow/counting/scripts.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import type { RecordQuery } from "../../flow/query.ts";
import type { AgentEvent } from "../../flow/record.ts";
import { ExitStatus } from "../exit-status.ts";
import { parseMoment } from "../values/moments.ts";
import { type Answer, answerOfAgent, answerOfFile, DEFAULT_SERVER, missingIn } from "./answers.ts";
import { addFilterOptions } from "./filter-options.ts";

export interface SourceOptions {
  /** Absent: the agent is asked. */
  inputFile?: string;
  server: string;
  /** ms since 1970. */
  since?: number;
  until?: number;
}

/** What the statuses of a question's command mean. */
export const QUESTION_STATUSES = {
  0: "found, and nothing is missing in it",
  1: "there is none",
  2: "usage error: an option, a filter, a time, a file or a server that is named",
  3: "records are missing: lost, damaged or not kept any more, or the agent ended; standard error says which",
} as const;

export function addTimeOptions(command: Command): Command {
  return command
    .addOption(
      new Option("--since <time>", "from then on: RFC 3339, or how long ago, such as 5m").argParser(parseMoment),
    )
    .addOption(new Option("--until <time>", "up to then").argParser(parseMoment));
}

export function addPlaceOptions(command: Command): Command {
  return command
    .option("--input-file <file>", "records of this file, as -o json writes them; -: of standard input")
    .option("--server <path>", "socket of the agent: observe.sock in the folder of its state", DEFAULT_SERVER);
}

/** Adds times, places and filters. @returns what the filters select, once the command line has been read; throws UsageError */
export function addQuestionOptions(command: Command): () => RecordSelection {
  return addFilterOptions(addPlaceOptions(addTimeOptions(command)));
}

/** @throws UsageError */
export function checkTimes({ since, until }: Pick<SourceOptions, "since" | "until">): void {
  if (since === undefined || until === undefined || since <= until) return;
  throw new UsageError(
    `--since ${new Date(since).toISOString()} is later than --until ${new Date(until).toISOString()}`,
  );
}

/** Hands the answer to `read`; a signal that would end this process ends the answer. */
export async function withAnswer<T>(
  { inputFile, server }: SourceOptions,
  query: RecordQuery,
  read: (answer: Answer) => Promise<T>,
): Promise<T> {
  const ending = new AbortController();
  const end = () => ending.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    return await read(
      inputFile === undefined ? answerOfAgent(server, query, ending.signal) : answerOfFile(inputFile, query),
    );
  } finally {
    process.off("SIGINT", end).off("SIGTERM", end);
  }
}

/**
 * Reads all records that are selected. What is missing is said on standard error, and makes the exit status INCOMPLETE.
 * @throws UsageError, InputError, RecordsServerError
 */
export async function readRecordsInto(
  options: SourceOptions,
  select: RecordSelection,
  take: (record: AgentEvent) => void,
): Promise<void> {
  checkTimes(options);
  const { since, until } = options;
  const query = {
    ...{ select, follow: false },
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
  const scripts = new Scripts();
  await withAnswer(options, query, async (answer) => {
    for (;;) {
      const next = await answer.next();
      if (next.done === true) return sayMissing(missingIn(next.value));
      take(scripts.completed(next.value.record));
    }
  });
}

/** Says it on standard error, and makes the exit status INCOMPLETE, if something is missing. */
export function sayMissing(missing: readonly string[]): void {
  for (const line of missing) process.stderr.write(`${printableLines(line)}\n`);
  if (missing.length > 0) process.exitCode = ExitStatus.INCOMPLETE;
}

/** Says that a question has no answer. The exit status is NO, unless something is missing. */
export function sayNone(what: string): void {
  process.stderr.write(`${printableLines(what)}\n`);
  process.exitCode ??= ExitStatus.NO;
}
