/** `portcullis status`: what is enforced here, read from the pins; with or without an agent. */
import { join } from "node:path";
import { Command } from "commander";
import { weaknessText } from "../api/pods/weaknesses.ts";
import { jsonText, printable } from "../api/printable.ts";
import type { OutputFormat } from "../export/line-sink.ts";
import { inspectNode, type NodeStatus, type WorkloadStatus } from "../node-agent/enforce/inspect.ts";
import { peerRedirectText } from "../node-agent/kernel/peer-redirects.ts";
import { askRecordsState } from "../node-agent/records/client.ts";
import type { RecordsState } from "../node-agent/records/messages.ts";
import { OBSERVE_SOCKET } from "../node-agent/records/paths.ts";
import { factLines } from "../terminal/facts.ts";
import { tableLines } from "../terminal/table.ts";
import { lineWidth } from "../terminal/width.ts";
import { addOutputOption, addPinOptions, type PinOptions, pinsOf } from "./agent/node-options.ts";
import { ExitStatus, exitStatusHelp } from "./exit-status.ts";
import { requireRoot } from "./node-access.ts";
import { trafficLines } from "./run/traffic-table.ts";
import { formatDuration } from "./values/durations.ts";
import { formatSize } from "./values/sizes.ts";

const EXIT_STATUS = `
${exitStatusHelp({
  0: "all of it could be read, whether or not something is enforced",
  1: "nothing could be read",
  3: "a part could not be read; the report says which",
})}`;

/** What is in force, and how its agent keeps records; null: no agent keeps any. */
export interface NodeReport extends NodeStatus {
  records: RecordsState | null;
}

interface StatusOptions extends PinOptions {
  output: OutputFormat;
}

export function statusCommand(): Command {
  const command = new Command("status")
    .summary("show what is enforced on this machine")
    .description("Shows what is enforced on which workload, what the kernel counted, and how full its maps are.");
  addOutputOption(command, "format of the report");
  addPinOptions(command);
  return command.addHelpText("after", EXIT_STATUS).action(async (options: StatusOptions) => {
    requireRoot("status");
    const { pinRoot, stateDirectory } = pinsOf(options);
    const records = await askRecordsState(join(stateDirectory, OBSERVE_SOCKET));
    const status = { ...inspectNode(pinRoot, stateDirectory), records };
    const isJson = options.output === "json";
    process.stdout.write(isJson ? `${jsonText(status, 2)}\n` : statusText(status, lineWidth(process.stdout)));
    if (status.problems.length > 0) process.exitCode = ExitStatus.INCOMPLETE;
  });
}

/** The report for a person. @param width columns of a line */
export function statusText(status: NodeReport, width: number): string {
  if (!status.present) return `nothing is enforced: there is nothing pinned under ${printable(status.pinRoot)}\n`;
  const { agentPid, hookSets } = status;
  const facts: [string, string][] = [
    ["Pins", status.pinRoot],
    ["Agent", agentPid === null ? "not running; what is in force stays in force" : `running, pid ${agentPid}`],
    ["Workloads", String(status.workloads.length)],
    [
      "Hooks",
      `veth pairs: ${hookSets.devices ?? "rtnetlink alone"}; flows: ${hookSets.flows ?? "socket storage alone"}; senders: ${hookSets.senders ?? "a look at each packet"}`,
    ],
    ...gateFacts(status.gate),
    ...redirectFacts(status.peerRedirects),
    ...recordsFacts(status.records),
    ...status.problems.map((problem): [string, string] => ["Problem", problem]),
  ];
  const lines = [
    ...factLines(facts, width),
    ...status.workloads.flatMap((workload) => ["", ...workloadLines(workload, width)]),
    "",
    ...mapLines(status, width),
    ...errorLines(status, width),
  ];
  return `${lines.join("\n")}\n`;
}

function redirectFacts(found: NodeStatus["peerRedirects"]): [string, string][] {
  if (found === null || found.length === 0) return [];
  return [["Warning", `what comes in may not be judged: ${printable(peerRedirectText(found))}`]];
}

function recordsFacts(records: RecordsState | null): [string, string][] {
  if (records === null) return [];
  const { segments, bytes, damaged, problem } = records;
  const text = `${formatSize(bytes)} in ${segments} ${segments === 1 ? "segment" : "segments"}${damaged === 0 ? "" : `, ${damaged} of them damaged`}`;
  return [["Records", text], ...(problem === null ? [] : [["Problem", problem] as [string, string]])];
}

function gateFacts(gate: NodeStatus["gate"]): [string, string][] {
  if (gate === null) return [];
  const { opensAfter, admitted, waiting } = gate;
  const policy = opensAfter === null ? "never opens by itself" : `opens after ${formatDuration(opensAfter)}`;
  return [
    ["Gate", `shut, ${policy}; ${admitted} network namespaces are admitted`],
    ...waiting.map(({ netnsInum, dropped, passed }): [string, string] => [
      "",
      `namespace ${netnsInum} is not admitted yet: ${dropped} packets dropped, ${passed} let through`,
    ]),
  ];
}

function workloadLines(workload: WorkloadStatus, width: number): string[] {
  const traffic = trafficLines(workload.traffic, width, "  ");
  return [
    printable(`${workload.namespace}/${workload.name}`),
    ...factLines(workloadFacts(workload), width, "  "),
    ...(traffic.length === 0 ? [] : ["", ...traffic]),
  ];
}

const STATE_WORDS: Readonly<Record<string, string>> = {
  partly: "PARTLY: not on all of its interfaces",
  unrestricted: "not restricted: no profile selects it",
};

function workloadFacts(workload: WorkloadStatus): [string, string][] {
  const { state, since, table, actions, error } = workload;
  const labels = Object.entries(workload.labels).map(([key, value]) => `${key}=${value}`);
  const interfaces = workload.interfaces.map(
    ({ name, ifindex, attached }) =>
      `${name} (${ifindex})${attached === false ? " NOT GUARDED: our programs are not on it" : ""}`,
  );
  return [
    ["State", `${STATE_WORDS[state] ?? state}${since === null ? "" : ` since ${since}`}`],
    ["Interfaces", interfaces.join(", ")],
    ["Labels", labels.join(", ") || "none"],
    ["Profiles", workload.profiles.join(", ") || "none"],
    ["Actions", actions.join(", ") || (table === null ? "none" : "none: violations are only counted")],
    ["Table", table === null ? "none" : table.slice(0, 12)],
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
    ...(error === null ? [] : [["Error", error.message] as [string, string]]),
  ];
}

function mapLines({ maps }: NodeStatus, width: number): string[] {
  const rows = maps
    .filter(({ entries }) => entries > 0)
    .map(({ name, entries, maxEntries }) => [
      name,
      String(entries),
      String(maxEntries),
      `${((100 * entries) / maxEntries).toFixed(1)} %`,
    ]);
  return tableLines([["MAP", "ENTRIES", "SIZE", "FULL"], ...rows], {
    fits: ["keep", "right", "right", "right"],
    width,
  });
}

function errorLines({ errors }: NodeStatus, width: number): string[] {
  if (errors.length === 0) return [];
  const rows = errors.map(({ name, count, sites }) => [
    name,
    String(count),
    sites.map((entry) => (sites.length === 1 ? entry.site : `${entry.site} (${entry.count})`)).join(", "),
  ]);
  return ["", ...tableLines([["KERNEL ERROR", "COUNT", "LINE"], ...rows], { fits: ["keep", "right", "fold"], width })];
}
