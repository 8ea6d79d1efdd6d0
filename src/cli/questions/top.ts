/** `portcullis top`: who asks, talks or fails most. */
import { Argument, Command, Option } from "commander";
import { TOP_FIELDS, TOP_VIEWS, Top, type TopField, type TopRow, type TopView } from "../../flow/counting/top.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import { exitStatusHelp } from "../exit-status.ts";
import {
  addQuestionOptions,
  QUESTION_STATUSES,
  readRecordsInto,
  type SourceOptions,
  sayNone,
} from "../observe/question-options.ts";
import { positiveNumber } from "../values/numbers.ts";
import { outputOption, printObjects, printTable, type QuestionFormat } from "./output.ts";

interface TopOptions extends SourceOptions {
  by?: TopField;
  limit: number;
  output: QuestionFormat;
}

const NOTE = `
  talkers  who begins, or is asked for, most conversations
  names    which names are asked for, and lead to conversations
  dns      which questions are asked, and how they are answered
  errors   what is refused, would be, or fails, and where it was going

Examples:
  portcullis top names --by process --since 1h
  portcullis top dns --pod shop/web --limit 50
  portcullis top errors --by pod -o json

docs/questions.md says what is counted.

${exitStatusHelp(QUESTION_STATUSES)}`;

export function topCommand(): Command {
  const command = new Command("top")
    .summary("show who asks, talks or fails most on this node")
    .description("Counts the records of this node, or of a file, and shows the most.")
    .addArgument(new Argument("<what>", "what is counted").choices(TOP_VIEWS))
    .addOption(new Option("--by <field>", "whose it is (default: pod, for talkers)").choices(TOP_FIELDS))
    .addOption(new Option("--limit <count>", "rows that are shown").argParser(positiveNumber).default(20))
    .addOption(outputOption());
  const selection = addQuestionOptions(command);
  return command
    .addHelpText("after", NOTE)
    .action((view: TopView, options: TopOptions) => top(view, options, selection()));
}

async function top(view: TopView, options: TopOptions, select: RecordSelection): Promise<void> {
  const counted = new Top(view, options.by ?? (view === "talkers" ? "pod" : null), options.since);
  await readRecordsInto(options, select, (record) => counted.add(record));
  const rows = counted.rows(options.limit);
  const [first] = rows;
  if (first === undefined) sayNone(`no record is counted among ${view}`);
  else if (options.output === "json")
    printObjects(rows.map(({ key, counts }) => Object.fromEntries([...key, ...counts])));
  else printRows(first, rows);
}

/** Columns of which every row has none are left out. */
function printRows({ key, counts: all }: TopRow, rows: readonly TopRow[]): void {
  const shown = all.map((_, index) => index).filter((index) => rows.some(({ counts }) => counts[index]?.[1] !== 0));
  const heading = [...shown.map((index) => all[index]?.[0] ?? ""), ...key.map(([name]) => name)].map((name) =>
    name.toUpperCase(),
  );
  const lines = rows.map((row) => [
    ...shown.map((index) => String(row.counts[index]?.[1] ?? 0)),
    ...row.key.map(([, value]) => value),
  ]);
  printTable([heading, ...lines], [...shown.map(() => "right" as const), ...key.map(() => "shorten" as const)]);
}
