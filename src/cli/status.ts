/** `portcullis status`: what is enforced here, read from the pins; with or without an agent. */
import { Command } from "commander";
import { printable } from "../api/printable.ts";
import { weaknessText } from "../api/weaknesses.ts";
import { inspectNode, type NodeStatus, type WorkloadStatus } from "../node-agent/enforce/inspect.ts";
import type { OutputFormat } from "../node-agent/events/sinks.ts";
import { formatDuration } from "./durations.ts";
import { ExitStatus, exitStatusHelp } from "./exit-status.ts";
import { requireRoot } from "./node-access.ts";
import { addOutputOption, addPinOptions, type PinOptions, pinsOf } from "./node-options.ts";
import { tableLines } from "./tables.ts";
import { trafficLines } from "./traffic-table.ts";

const EXIT_STATUS = `
${exitStatusHelp({
  0: "all of it could be read, whether or not something is enforced",
  1: "nothing could be read",
  3: "a part could not be read; the report says which",
})}`;

interface StatusOptions extends PinOptions {
  output: OutputFormat;
}

export function statusCommand(): Command {
  const command = new Command("status")
    .summary("what is enforced on this machine")
    .description("Shows what is enforced on which workload, what the kernel counted, and how full its maps are.");
  addOutputOption(command, "format of the report");
  addPinOptions(command);
  return command.addHelpText("after", EXIT_STATUS).action((options: StatusOptions) => {
    requireRoot("status");
    const { pinRoot, stateDirectory } = pinsOf(options);
    const status = inspectNode(pinRoot, stateDirectory);
    process.stdout.write(options.output === "json" ? `${JSON.stringify(status, null, 2)}\n` : statusText(status));
    if (status.problems.length > 0) process.exitCode = ExitStatus.INCOMPLETE;
  });
}

/** The report for a person. */
export function statusText(status: NodeStatus): string {
  if (!status.present) return `nothing is enforced: there is nothing pinned under ${printable(status.pinRoot)}\n`;
  const lines = [
    `Pins:       ${status.pinRoot}`,
    `Agent:      ${status.agentPid === null ? "not running; what is in force stays in force" : `running, pid ${status.agentPid}`}`,
    `Workloads:  ${status.workloads.length}`,
    `Hooks:      veth pairs: ${status.hookSets.devices ?? "none"}; flows: ${status.hookSets.flows ?? "none"}; senders: ${status.hookSets.senders ?? "none"}`,
    ...gateLines(status.gate),
    ...status.problems.map((problem) => `Problem:    ${problem}`),
    ...status.workloads.flatMap((workload) => ["", ...workloadLines(workload)]),
    "",
    ...mapLines(status),
    ...errorLines(status),
  ];
  return `${lines.map(printable).join("\n")}\n`;
}

function gateLines(gate: NodeStatus["gate"]): string[] {
  if (gate === null) return [];
  const { opensAfter, inCare, strangers } = gate;
  const policy = opensAfter === null ? "never opens by itself" : `opens after ${formatDuration(opensAfter)}`;
  return [
    `Gate:       shut, ${policy}; ${inCare} network namespaces may pass`,
    ...strangers.map(
      ({ netnsInum, dropped, passed }) =>
        `            namespace ${netnsInum} is not guarded: ${dropped} packets dropped, ${passed} let through`,
    ),
  ];
}

function workloadLines(workload: WorkloadStatus): string[] {
  const labels = Object.entries(workload.labels).map(([key, value]) => `${key}=${value}`);
  const interfaces = workload.interfaces.map(
    ({ name, ifindex, attached }) =>
      `${name} (${ifindex})${attached === false ? " NOT GUARDED: our programs are not on it" : ""}`,
  );
  const facts: [string, string][] = [
    [
      "State",
      `${workload.state === "partly" ? "PARTLY: not on all of its interfaces" : workload.state}${workload.since === null ? "" : ` since ${workload.since}`}`,
    ],
    ["Interfaces", interfaces.join(", ")],
    ["Labels", labels.join(", ") || "none"],
    ["Profiles", workload.profiles.join(", ") || "none"],
    [
      "Actions",
      workload.actions.join(", ") || (workload.table === null ? "none" : "none: violations are only counted"),
    ],
    ["Table", workload.table === null ? "none" : workload.table.slice(0, 12)],
    ...workload.sharedFiles.map(({ listed, file }): [string, string] => [
      "Link",
      `${listed} is ${file}; every name of that file shares its rights`,
    ]),
    ...workload.unseen.map(({ listed, meant }): [string, string] => [
      "Unseen",
      `${listed}: no process of this file runs here or has used the network${meant === null ? "" : `; did you mean ${meant}, which has?`}`,
    ]),
    ...workload.weaknesses.map((weakness): [string, string] => ["Weakness", weaknessText(weakness)]),
    ...workload.problems.map(({ message }): [string, string] => ["Problem", message]),
    ...workload.full.map(({ name, size, lost, consequence }): [string, string] => [
      "Full",
      `${name}: its ${size} are taken, and ${lost} more were wanted; ${consequence}`,
    ]),
    ...(workload.error === null ? [] : [["Error", workload.error.message] as [string, string]]),
  ];
  const traffic = trafficLines(workload.traffic, "  ");
  return [
    `${workload.namespace}/${workload.name}`,
    ...facts.map(([name, value]) => `  ${`${name}:`.padEnd(12)}${value}`),
    ...(traffic.length === 0 ? [] : ["", ...traffic]),
  ];
}

function mapLines({ maps }: NodeStatus): string[] {
  const rows = maps
    .filter(({ entries }) => entries > 0)
    .map(({ name, entries, maxEntries }) => [
      name,
      String(entries),
      String(maxEntries),
      `${((100 * entries) / maxEntries).toFixed(1)} %`,
    ]);
  return tableLines([["MAP", "ENTRIES", "SIZE", "FULL"], ...rows]);
}

function errorLines({ errors }: NodeStatus): string[] {
  if (errors.length === 0) return [];
  return ["", ...tableLines([["KERNEL ERROR", "COUNT"], ...errors.map(({ name, count }) => [name, String(count)])])];
}
