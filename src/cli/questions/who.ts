/** `portcullis who`: which workloads use something, and which do not. */
import { Command } from "commander";
import { type Edge, workloadText } from "../../flow/edges/edge.ts";
import type { EdgeList } from "../../flow/edges/edges.ts";
import { serverTest } from "../../flow/edges/matching.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { addQuestionOptions, QUESTION_STATUSES, type SourceOptions, sayNone } from "../observe/question-options.ts";
import { printEdges } from "./edge-output.ts";
import { outputOption, printObjects, printTable, type QuestionFormat } from "./output.ts";
import { readEdges } from "./read-edges.ts";

interface WhoOptions extends SourceOptions {
  without?: boolean;
  output: QuestionFormat;
}

const NOTE = `
What is used: a workload (shop/db, or db), a name (api.example.com, '*.example.com'), an address or a
prefix (10.0.0.0/8), or a port (5432, 53/udp). docs/questions.md has more.

Examples:
  portcullis who shop/db
  portcullis who '*.amazonaws.com' --since 24h
  portcullis who 5432 --without

${exitStatusHelp(QUESTION_STATUSES)}`;

export function whoCommand(): Command {
  const command = new Command("who")
    .summary("show who uses a workload, name, address or port")
    .description("Shows which workloads of this node, and which of their processes, use something, or tried to.")
    .argument("<what>", "a workload, a name, an address, a prefix or a port")
    .option("--without", "the workloads that have records, and do not use it")
    .addOption(outputOption());
  const selection = addQuestionOptions(command);
  return command
    .addHelpText("after", NOTE)
    .action((what: string, options: WhoOptions) => who(what, options, selection()));
}

async function who(what: string, options: WhoOptions, select: RecordSelection): Promise<void> {
  const isMeant = serverTest(what);
  const list = await readEdges(options, select);
  const using = list.edges.filter(isMeant);
  if (options.without === true) return printOthers(what, list, using, options.output);
  if (using.length === 0) sayNone(`nobody uses ${what}, as far as there are records`);
  else printEdges(using, options.output);
}

/** Workloads without an edge among these. */
function printOthers(what: string, { workloads }: EdgeList, using: readonly Edge[], format: QuestionFormat): void {
  const users = new Set(
    using.flatMap(({ client }) => (client.workload === undefined ? [] : [workloadText(client.workload)])),
  );
  const others = workloads.filter((workload) => !users.has(workloadText(workload)));
  if (others.length === 0) sayNone(`every workload that has records uses ${what}`);
  else if (format === "json") printObjects(others);
  else printTable([["WORKLOAD"], ...others.map((workload) => [workloadText(workload)])], ["keep"]);
}
