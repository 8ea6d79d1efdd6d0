/** `portcullis observe`: records of this node, those that are kept and those that come, or records of a file. */
import { Command, InvalidArgumentError, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { printableLines } from "../../api/printable.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import type { AnswerEnd, RecordQuery } from "../../flow/query.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { parseMoment } from "../values/moments.ts";
import { type Answer, answerOfAgent, answerOfFile, DEFAULT_SERVER, missingIn } from "./answers.ts";
import { addFilterOptions } from "./filter-options.ts";
import { OBSERVE_FORMATS, type ObserveFormat, RecordPrinter } from "./printer.ts";

interface ObserveOptions {
  all?: boolean;
  first?: number;
  last?: number;
  since?: number;
  until?: number;
  follow?: boolean;
  output: ObserveFormat;
  inputFile?: string;
  server: string;
}

const LAST_BY_DEFAULT = 20;

const NOTE = `
A record says how a packet, or a number of packets of one kind, was judged; or what happened to a
workload, to the profiles, or to the records themselves. The agent of a node keeps them
in /var/lib/portcullis/records, also while it does not run, and answers on a socket that root may use.
One end of a record is a workload. Of the other end, the record has the address, and the name by
which the workload had learned it. docs/observe.md explains everything.

Examples:
  portcullis observe --pod shop/web --verdict dropped --last 50
  portcullis observe --since 1h --to-fqdn '*.example.com' -o json | jq .process.path
  portcullis observe --follow --not --protocol dns --process curl
  zstdcat /var/lib/portcullis/records/*.zst | portcullis observe --input-file - --type dns

${exitStatusHelp({
  0: "answered, and nothing is missing in it",
  2: "usage error: an option, a filter, a time, a file or a server that is named",
  3: "records are missing: lost, damaged or not kept any more, or the agent ended; standard error says which",
})}`;

export function observeCommand(): Command {
  const command = new Command("observe")
    .summary("show who talked to whom on this node, now and before")
    .description(
      "Shows the records of this node that its agent has kept, and those that come, or the records of a file.",
    )
    .addOption(new Option("--all", "all that are kept").conflicts(["first", "last"]))
    .addOption(new Option("--first <count>", "the first so many").argParser(wholeNumber).conflicts("last"))
    .addOption(
      new Option(
        "--last <count>",
        `the last so many (default: ${LAST_BY_DEFAULT}, unless a time or a file is named)`,
      ).argParser(wholeNumber),
    )
    .addOption(
      new Option("--since <time>", "from then on: RFC 3339, or how long ago, such as 5m").argParser(parseMoment),
    )
    .addOption(new Option("--until <time>", "up to then").argParser(parseMoment))
    .addOption(new Option("-f, --follow", "go on with what comes").conflicts(["until", "inputFile"]))
    .addOption(new Option("-o, --output <format>", "format").choices(OBSERVE_FORMATS).default("compact"))
    .option("--input-file <file>", "records of this file, as -o json writes them; -: of standard input")
    .option("--server <path>", "socket of the agent: observe.sock in the folder of its state", DEFAULT_SERVER);
  const selection = addFilterOptions(command);
  return command.addHelpText("after", NOTE).action((options: ObserveOptions) => observe(options, selection()));
}

async function observe(options: ObserveOptions, select: RecordSelection): Promise<void> {
  const query = queryOf(options, select);
  const ending = new AbortController();
  const end = () => ending.abort();
  process.once("SIGINT", end).once("SIGTERM", end);
  const answer =
    options.inputFile === undefined
      ? answerOfAgent(options.server, query, ending.signal)
      : answerOfFile(options.inputFile, query);
  const missing = missingIn(await printed(answer, new RecordPrinter(options.output)));
  process.off("SIGINT", end).off("SIGTERM", end);
  for (const line of missing) process.stderr.write(`${printableLines(line)}\n`);
  if (missing.length > 0) process.exitCode = ExitStatus.INCOMPLETE;
}

/** @throws UsageError */
function queryOf(
  { all, first, last, since, until, follow, inputFile }: ObserveOptions,
  select: RecordSelection,
): RecordQuery {
  if (since !== undefined && until !== undefined && since > until) {
    throw new UsageError(
      `--since ${new Date(since).toISOString()} is later than --until ${new Date(until).toISOString()}`,
    );
  }
  const isNarrowed = [all, first, last, since, until, follow, inputFile].some((one) => one !== undefined);
  // Who follows, and asks for nothing else, wants what comes.
  const from = follow === true && [all, first, last, since].every((one) => one === undefined) ? Date.now() : since;
  const newest = isNarrowed ? last : LAST_BY_DEFAULT;
  return {
    select,
    follow: follow === true,
    ...(from === undefined ? {} : { since: from }),
    ...(until === undefined ? {} : { until }),
    ...(first === undefined ? {} : { first }),
    ...(newest === undefined ? {} : { last: newest }),
  };
}

async function printed(answer: Answer, printer: RecordPrinter): Promise<AnswerEnd | null> {
  for (;;) {
    const next = await answer.next();
    if (next.done === true) return next.value;
    await printer.print(next.value.record, next.value.line);
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < 1) throw new InvalidArgumentError("It has to be a whole number from 1 on.");
  return value;
}
