/** `portcullis slow`: how long answers take, and whether the network or the application makes them slow. */
import { Command } from "commander";
import { type Edge, endText, type Responses, serviceText } from "../../flow/edges/edge.ts";
import { isEndCalled } from "../../flow/edges/matching.ts";
import { bySlowness, culpritOf, meanNs } from "../../flow/edges/slowness.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import { exitStatusHelp } from "../exit-status.ts";
import { addQuestionOptions, QUESTION_STATUSES, type SourceOptions, sayNone } from "../observe/question-options.ts";
import { edgeObject } from "./edge-output.ts";
import { outputOption, printObjects, printTable, type QuestionFormat } from "./output.ts";
import { readEdges } from "./read-edges.ts";

interface SlowOptions extends SourceOptions {
  output: QuestionFormat;
}

const NOTE = `
WAITED is the time from the first bytes of a conversation's request to those of its response, as the
client's end of it saw them; SERVED is the same at the server's end. In between is the network.
docs/questions.md has more.

Examples:
  portcullis slow shop/web --since 1h

${exitStatusHelp(QUESTION_STATUSES)}`;

export function slowCommand(): Command {
  const command = new Command("slow")
    .summary("show how long answers take, and why")
    .description("Shows how long a workload waits for others' answers, and others for its own.")
    .argument("<workload>", "its name: web, or shop/web")
    .addOption(outputOption());
  const selection = addQuestionOptions(command);
  return command
    .addHelpText("after", NOTE)
    .action((name: string, options: SlowOptions) => slow(name, options, selection()));
}

async function slow(name: string, options: SlowOptions, select: RecordSelection): Promise<void> {
  const { edges } = await readEdges(options, select);
  const found = bySlowness(
    edges.filter(({ client, server }) => isEndCalled(client, name) || isEndCalled(server, name)),
  );
  if (found.length === 0) sayNone(`no answer to or of ${name}, as far as there are records of flows`);
  else if (options.output === "json")
    printObjects(found.map((edge) => ({ ...edgeObject(edge), slow: culpritOf(edge) })));
  else printRows(found);
}

const HEADING = ["CLIENT", "SERVER", "SERVICE", "ANSWERS", "WAITED", "MOST", "SERVED", "SLOW"];

function printRows(edges: readonly Edge[]): void {
  const rows = edges.map((edge) => {
    const { client, server, waited, served } = edge;
    const answers = String(waited.count || served.count);
    const times = [meanText(waited), timeText(waited.maxNs || served.maxNs), meanText(served)];
    return [endText(client), endText(server), serviceText(edge), answers, ...times, culpritOf(edge) ?? "-"];
  });
  printTable([HEADING, ...rows], ["shorten", "shorten", "keep", "right", "right", "right", "right", "keep"]);
}

function meanText(responses: Responses): string {
  const mean = meanNs(responses);
  return mean === null ? "-" : timeText(mean);
}

/** `0.42 ms`, `12 ms`. */
function timeText(nanoseconds: number): string {
  const milliseconds = nanoseconds / 1e6;
  return `${milliseconds < 10 ? milliseconds.toFixed(2) : milliseconds.toFixed(0)} ms`;
}
