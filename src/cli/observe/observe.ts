/** `portcullis observe`: records of this node, those that are kept and those that come, or records of a file. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { FIELD_NAMES, type FieldName } from "../../flow/counting/fields.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import type { AnswerEnd, RecordQuery } from "../../flow/query.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { positiveNumber } from "../values/numbers.ts";
import { type Answer, missingIn } from "./answers.ts";
import { addFilterOptions } from "./filter-options.ts";
import { GroupPrinter } from "./group-printer.ts";
import { OBSERVE_FORMATS, type ObserveFormat, RecordPrinter } from "./printer.ts";
import {
  addPlaceOptions,
  addTimeOptions,
  checkTimes,
  type SourceOptions,
  sayMissing,
  withAnswer,
} from "./question-options.ts";

interface ObserveOptions extends SourceOptions {
  all?: boolean;
  first?: number;
  last?: number;
  follow?: boolean;
  output: ObserveFormat;
  groupBy?: FieldName[];
  top?: number;
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
  portcullis observe --group-by process,peer --top 10 --since 1h
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
    .addOption(new Option("--first <count>", "the first so many").argParser(positiveNumber).conflicts("last"))
    .addOption(
      new Option(
        "--last <count>",
        `the last so many (default: ${LAST_BY_DEFAULT}, unless a time, a file or groups are named)`,
      ).argParser(positiveNumber),
    );
  addTimeOptions(command)
    .addOption(new Option("-f, --follow", "go on with what comes").conflicts(["until", "inputFile"]))
    .addOption(new Option("-o, --output <format>", "format").choices(OBSERVE_FORMATS).default("compact"))
    .addOption(
      new Option("--group-by <fields>", `count the records by ${FIELD_NAMES.join(", ")}; several with commas`)
        .argParser(fieldNames)
        .conflicts("follow"),
    )
    .addOption(new Option("--top <count>", "the largest so many groups").argParser(positiveNumber));
  const selection = addFilterOptions(addPlaceOptions(command));
  return command.addHelpText("after", NOTE).action((options: ObserveOptions) => observe(options, selection()));
}

async function observe(options: ObserveOptions, select: RecordSelection): Promise<void> {
  const { groupBy, top, output } = options;
  if (groupBy === undefined && top !== undefined) throw new UsageError("--top: of which groups? Add --group-by");
  const groups = groupBy === undefined ? null : new GroupPrinter(groupBy, output, options);
  const printer = groups ?? new RecordPrinter(output);
  const end = await withAnswer(options, queryOf(options, select), (answer) => printed(answer, printer));
  groups?.end();
  sayMissing(missingIn(end));
}

/** @throws UsageError */
function queryOf(options: ObserveOptions, select: RecordSelection): RecordQuery {
  checkTimes(options);
  const { all, first, last, since, until, follow, inputFile, groupBy } = options;
  const isNarrowed = [all, first, last, since, until, follow, inputFile, groupBy].some((one) => one !== undefined);
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

async function printed(answer: Answer, printer: RecordPrinter | GroupPrinter): Promise<AnswerEnd | null> {
  for (;;) {
    const next = await answer.next();
    if (next.done === true) return next.value;
    await printer.print(next.value.record, next.value.line);
  }
}

/** @throws UsageError */
function fieldNames(text: string): FieldName[] {
  return text.split(",").map((word) => {
    const known = FIELD_NAMES.find((name) => name === word);
    if (known === undefined) throw new UsageError(`--group-by ${word}: there are ${FIELD_NAMES.join(", ")}`);
    return known;
  });
}
