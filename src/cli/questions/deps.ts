/** `portcullis deps`: what a workload depends on, and who depends on it. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { dotGraph } from "../../flow/edges/dot.ts";
import { type EdgeWorkload, endText, serviceText, usesOf, workloadText } from "../../flow/edges/edge.ts";
import type { EdgeList } from "../../flow/edges/edges.ts";
import { isCalled } from "../../flow/edges/matching.ts";
import { type Reached, reached, type Way } from "../../flow/edges/reach.ts";
import type { RecordSelection } from "../../flow/filters/filter.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { addQuestionOptions, QUESTION_STATUSES, type SourceOptions, sayNone } from "../observe/question-options.ts";
import { positiveNumber } from "../values/numbers.ts";
import { edgeObject } from "./edge-output.ts";
import { printObjects, printTable } from "./output.ts";
import { readEdges } from "./read-edges.ts";

const FORMATS = ["text", "dot", "json"] as const;

interface DepsOptions extends SourceOptions {
  down?: boolean;
  up?: boolean;
  depth: number;
  output: (typeof FORMATS)[number];
}

const NOTE = `
A workload is named by itself, or with its namespace: web, shop/web. Only edges of workloads that have
records here are followed further. docs/questions.md has more.

Examples:
  portcullis deps shop/web --since 24h
  portcullis deps shop/web --down --depth 3
  portcullis deps shop/web -o dot | dot -Tsvg > web.svg

${exitStatusHelp(QUESTION_STATUSES)}`;

export function depsCommand(): Command {
  const command = new Command("deps")
    .summary("show what a workload depends on, and who on it")
    .description("Shows what a workload of this node talks to, who talks to it, and by which processes.")
    .argument("<workload>", "its name: web, or shop/web")
    .option("--down", "only what it depends on")
    .option("--up", "only who depends on it")
    .addOption(new Option("--depth <steps>", "how far edges are followed").argParser(positiveNumber).default(1))
    .addOption(new Option("-o, --output <format>", "format").choices(FORMATS).default("text"));
  const selection = addQuestionOptions(command);
  return command
    .addHelpText("after", NOTE)
    .action((name: string, options: DepsOptions) => deps(name, options, selection()));
}

async function deps(name: string, options: DepsOptions, select: RecordSelection): Promise<void> {
  const list = await readEdges(options, select);
  const workload = meantWorkload(list, name);
  if (workload === null) return sayNone(`there is no record of a workload ${name}`);
  const ways: Way[] = options.down === options.up ? ["down", "up"] : [options.down === true ? "down" : "up"];
  const found = ways.map((way) => ({ way, edges: reached(list.edges, workload, way, options.depth) }));
  if (found.every(({ edges }) => edges.length === 0)) process.exitCode ??= ExitStatus.NO;
  if (options.output === "dot") {
    const edges = new Set(found.flatMap(({ edges: those }) => those.map(({ edge }) => edge)));
    process.stdout.write(`${dotGraph([...edges])}\n`);
  } else if (options.output === "json") {
    printObjects(
      found.flatMap(({ way, edges }) => edges.map(({ depth, edge }) => ({ way, depth, ...edgeObject(edge) }))),
    );
  } else {
    for (const { way, edges } of found) printWay(workload, way, edges);
  }
}

/** Null: there is none. @throws UsageError naming those that a name alone could mean */
function meantWorkload({ workloads }: EdgeList, name: string): EdgeWorkload | null {
  const meant = workloads.filter((workload) => isCalled(workload, name));
  if (meant.length > 1) {
    throw new UsageError(`${name} is several workloads: say ${meant.map(workloadText).join(" or ")}`);
  }
  return meant[0] ?? null;
}

const TITLES: Readonly<Record<Way, string>> = { down: "depends on", up: "is used by" };

function printWay(workload: EdgeWorkload, way: Way, edges: readonly Reached[]): void {
  const title = `${workloadText(workload)} ${TITLES[way]}`;
  const rows = edges.map(({ depth, edge }) => {
    const { client, server, verdict } = edge;
    const far = way === "down" ? server : client;
    const path = `${client.process ?? "?"} → ${server.process ?? "?"}`;
    return [`${"  ".repeat(depth)}${endText(far)}`, serviceText(edge), path, `${verdict} ×${usesOf(edge)}`];
  });
  const heading = rows.length === 0 ? [`${title} nobody`, "", "", ""] : [title, "SERVICE", "PROCESSES", "VERDICT"];
  printTable([heading, ...rows], ["shorten", "keep", "shorten", "keep"]);
}
