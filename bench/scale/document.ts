/** The results as text: on the terminal, and as the section "Scale" of docs/benchmarks.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";
import { withSection } from "../report/page.ts";
import type { EditResult, QuietResult, ScaleResult } from "./results.ts";
import { type Target, targetsOf } from "./targets.ts";

const DOCUMENT = fileURLToPath(new URL("../../docs/benchmarks.md", import.meta.url));
const MEBIBYTE = 1024 ** 2;
const GIBIBYTE = 1024 ** 3;

export function writeScaleSection(result: ScaleResult): void {
  writeFileSync(DOCUMENT, withSection(readFileSync(DOCUMENT, "utf8"), "bench-scale", scaleText(result)));
}

/** Markdown, which can be read on a terminal too. */
export function scaleText(result: ScaleResult): string {
  const parts = [
    "## Scale",
    introduction(result),
    table(["what", "target", "measured", "met"], targetsOf(result).map(targetRow)),
    "### From `kubectl apply` to the last agent's acknowledgement",
    "Milliseconds over all edits; one pod on each node is concerned. CPU is of one edit, in milliseconds.",
    table(EDIT_HEAD, result.edits.map(editRow)),
    "### What one edit costs the API server",
    table(
      ["nodes concerned", "writes by the operator, for each edit"],
      result.changes.map(({ nodes, writes }) => [String(nodes), writes.toFixed(1)]),
    ),
    "### Memory, and nothing to do",
    table(["operator", "resident MiB", "% of a CPU", "writes a second"], memoryRows(result)),
    "### Starts",
    table(["", "agents hold nothing", "a rolling update: agents hold everything"], startRows(result)),
    METHOD,
  ];
  return `${parts.join("\n\n")}\n`;
}

function introduction({ size, time, load, cpus: count }: ScaleResult): string {
  const cpu = cpus()[0]?.model.trim() ?? "unknown";
  return `${size.nodes} nodes, ${size.pods} pods, ${size.profiles} profiles; \`make bench-scale\`, ${time.slice(0, 10)}, on ${count} x ${cpu},
${(totalmem() / GIBIBYTE).toFixed(0)} GiB, kernel ${release()}. API server, etcd, operator and all the agents share these ${count} CPUs, for which
${load.toFixed(1)} processes waited on average at the end: times are what such a machine gives, CPU seconds say what is the operator's.`;
}

function targetRow({ what, target, measured, met }: Target): string[] {
  return [what, target, measured, met ? "yes" : "**no**"];
}

const EDIT_HEAD = [
  "nodes concerned",
  "p50",
  "p99",
  "worst",
  "any agent's p50",
  "any agent's p99",
  "revisions",
  "KiB sent",
  "operator CPU",
  "agents' CPU",
  "API server CPU",
];

function editRow({ nodes, all, agent, revisions, bytes, cpuSeconds }: EditResult): string[] {
  const { operator, agents, apiServer } = cpuSeconds;
  const times = [all.p50, all.p99, all.max, agent.p50, agent.p99].map((value) => value.toFixed(0));
  const costs = [operator, agents, apiServer].map((seconds) => (seconds * 1000).toFixed(0));
  return [String(nodes), ...times, revisions.toFixed(0), (bytes / 1024).toFixed(0), ...costs];
}

function memoryRows({ first, quiet, peakMemory }: ScaleResult): string[][] {
  return [
    ["planned, no agent yet", mebibytes(first.plannedMemory), "", ""],
    ["all agents hold their state", mebibytes(first.memory.now), "", ""],
    ...quiet.map(quietRow),
    ["at most, in the whole run", mebibytes(peakMemory), "", ""],
  ];
}

function quietRow({ traffic, memory, cpuShare, writesPerSecond }: QuietResult): string[] {
  const what = traffic ? "every agent reports packets each second" : "nothing happens";
  return [what, mebibytes(memory), (cpuShare * 100).toFixed(1), writesPerSecond.toFixed(1)];
}

function startRows({ first, restart }: ScaleResult): string[][] {
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  return [
    ["start to all read and planned", seconds(first.plannedSeconds), seconds(restart.plannedSeconds)],
    ["start to the first agent connected", "", seconds(restart.firstConnectedSeconds)],
    ["start to all agents connected", "", seconds(restart.allConnectedSeconds)],
    [
      "all agents have acknowledged",
      `${seconds(first.allTakenSeconds)} from the agents' start`,
      seconds(restart.allTakenSeconds),
    ],
    [
      "an agent without operator, p50 and p99",
      "",
      `${seconds(restart.awaySeconds.p50)}, ${seconds(restart.awaySeconds.p99)}`,
    ],
    ["operator CPU until then", seconds(first.cpuSeconds), seconds(restart.cpuSeconds)],
  ];
}

function mebibytes(bytes: number): string {
  return (bytes / MEBIBYTE).toFixed(0);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const align = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, align, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const METHOD = `### How

- kube-apiserver (built as for \`make test-cluster\`) and etcd 3.5, without controllers and kubelets: nodes, pods with a status as a
  kubelet writes it, and profiles are objects that the benchmark has made. The operator is \`portcullis operator\`, with the rights of
  the chart and by its service account; CPU and memory are its process's, from /proc.
- The agents are the agent's own client and reporter, in two processes, over TLS, each with a token bound to a pod of its node. They check and keep
  every revision as on a node, and then say that all is in force; there is no kernel behind them.
- An edit changes a port in a profile. Its time goes from the request to the API server until the last agent concerned has checked,
  kept and acknowledged its new table. The next edit comes 150 ms after that.
- Writes are what the API server counts itself, while edits are far enough from each other that each has a status of its own.`;
