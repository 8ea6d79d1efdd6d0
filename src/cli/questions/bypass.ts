/** `portcullis bypass`: conversations that do not go through a proxy. */
import { Command } from "commander";
import { bypassing, type ProxyReference } from "../../flow/edges/bypass.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { addQuestionOptions, QUESTION_STATUSES, type SourceOptions, sayNone } from "../observe/question-options.ts";
import { printEdges } from "./edge-output.ts";
import { outputOption, type QuestionFormat } from "./output.ts";
import { readEdges } from "./read-edges.ts";

interface BypassOptions extends SourceOptions {
  proxy: ProxyReference;
  output: QuestionFormat;
}

const NOTE = `
A proxy is a sidecar's executable (envoy, /usr/local/bin/envoy), or the port of one that all pods
share (3128). Workloads that never use it are left out. docs/questions.md has more.

Examples:
  portcullis bypass --proxy envoy --since 24h
  portcullis bypass --proxy 3128 --not --to-port 53

${exitStatusHelp(QUESTION_STATUSES)}`;

export function bypassCommand(): Command {
  const command = new Command("bypass")
    .summary("show conversations that do not go through a proxy")
    .description("Shows which processes talk to others past the proxy that their workload uses.")
    .requiredOption("--proxy <executable-or-port>", "the proxy", proxyOf)
    .addOption(outputOption());
  const selection = addQuestionOptions(command);
  return command.addHelpText("after", NOTE).action((options: BypassOptions) => bypass(options, selection()));
}

async function bypass(options: BypassOptions, select: RecordSelection): Promise<void> {
  const { edges } = await readEdges(options, select);
  const past = bypassing(edges, options.proxy);
  if (past.length === 0) sayNone("no conversation past the proxy, as far as there are records");
  else printEdges(past, options.output);
}

function proxyOf(text: string): ProxyReference {
  return /^\d{1,5}$/.test(text) ? { port: Number(text) } : { path: text };
}
