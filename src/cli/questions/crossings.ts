/** `portcullis crossings`: conversations between namespaces. */
import { Command } from "commander";
import type { Edge } from "../../flow/edges/edge.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { addQuestionOptions, QUESTION_STATUSES, type SourceOptions, sayNone } from "../observe/question-options.ts";
import { printEdges } from "./edge-output.ts";
import { outputOption, type QuestionFormat } from "./output.ts";
import { readEdges } from "./read-edges.ts";

interface CrossingsOptions extends SourceOptions {
  output: QuestionFormat;
}

const NOTE = `
A peer's namespace is known if it has records of its own here: pods of this node, or of the nodes whose
records the file has. docs/questions.md has more.

Examples:
  portcullis crossings --since 24h
  portcullis crossings --from-namespace shop -o json

${exitStatusHelp(QUESTION_STATUSES)}`;

export function crossingsCommand(): Command {
  const command = new Command("crossings")
    .summary("show conversations between namespaces")
    .description("Shows which workloads talk, or tried to, to workloads of another namespace.")
    .addOption(outputOption());
  const selection = addQuestionOptions(command);
  return command.addHelpText("after", NOTE).action((options: CrossingsOptions) => crossings(options, selection()));
}

async function crossings(options: CrossingsOptions, select: RecordSelection): Promise<void> {
  const { edges } = await readEdges(options, select);
  const crossing = edges.filter(isCrossing);
  if (crossing.length === 0) sayNone("no conversation between namespaces, as far as there are records");
  else printEdges(crossing, options.output);
}

function isCrossing({ client, server }: Edge): boolean {
  const namespaces = [client.workload?.namespace, server.workload?.namespace];
  return namespaces.every((namespace) => namespace !== undefined) && namespaces[0] !== namespaces[1];
}
