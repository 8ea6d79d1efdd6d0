/** Events as lines for a person: columns that line up, colours where the output is a terminal. */
import { printable } from "../../api/printable.ts";
import type { Verdict } from "../../api/reasons.ts";
import type { AgentEvent, Endpoint, ProcessReference, RevisionEvent, VerdictEvent, WorkloadEvent } from "./event.ts";

const RESET = "\u001b[0m";
const RED = "\u001b[31m";
const GREEN = "\u001b[32m";
const YELLOW = "\u001b[33m";
const DIM = "\u001b[2m";
const BOLD = "\u001b[1m";

const VERDICT_COLOURS: Record<Verdict, string> = { allowed: GREEN, alerted: YELLOW, dropped: RED, counted: DIM };

const WORKLOAD_STATES: Record<WorkloadEvent["state"], string> = {
  enforced: GREEN,
  partly: RED,
  watching: YELLOW,
  learning: YELLOW,
  unrestricted: YELLOW,
  pending: YELLOW,
  gone: DIM,
  failed: RED,
};

/** True if lines to this stream should have colours (https://no-color.org, FORCE_COLOR as Node reads it). */
export function wantsColours(stream: { isTTY?: boolean }, environment: NodeJS.ProcessEnv = process.env): boolean {
  if ((environment.NO_COLOR ?? "") !== "") return false;
  if ((environment.FORCE_COLOR ?? "0") !== "0") return true;
  return stream.isTTY === true && environment.TERM !== "dumb";
}

/** One event as one line without its newline; a refused revision has a line for each error below it. */
export function eventText(event: AgentEvent, colours: boolean): string {
  const paint = (colour: string, text: string) => (colours ? `${colour}${text}${RESET}` : text);
  const time = paint(DIM, clockTime(event.time));
  switch (event.type) {
    case "verdict":
    case "dns":
    case "listen":
      return `${time}  ${verdictText(event, paint)}`;
    case "ready":
      return `${time}  ${paint(BOLD, "ready")}     in force for ${printable(event.workloads.join(", ")) || "no workload"}`;
    case "revision":
      return `${time}  ${revisionText(event, paint)}`;
    case "workload":
      return `${time}  ${workloadText(event, paint)}`;
    case "lost":
      return `${time}  ${paint(RED, "lost")}      ${event.count} events, ${lostText(event.where)}`;
  }
}

type Paint = (colour: string, text: string) => string;

function verdictText(event: VerdictEvent, paint: Paint): string {
  const verdict = paint(VERDICT_COLOURS[event.verdict], event.verdict.padEnd(8));
  const columns = [
    event.workload.name.padEnd(10),
    processText(event.process).padEnd(30),
    (event.direction === "egress" ? "->" : "<-").padEnd(2),
    event.proto.padEnd(6),
    endpointText(event.direction === "egress" ? event.dst : event.src, event.direction === "egress").padEnd(34),
    what(event).padEnd(14),
    event.profiles.join(","),
  ];
  const count = event.count > 1 ? paint(DIM, ` (${event.count} packets)`) : "";
  // Paths, names and comms are the workload's own choice.
  return `${verdict}  ${printable(columns.join("  ")).trimEnd()}${count}`;
}

/** The reason; with the question, the answer's code or the local port where they are what it is about. */
function what(event: VerdictEvent): string {
  const parts = [event.verdict === "allowed" ? "" : event.reason];
  if (event.malformed !== undefined) parts.push(`(${event.malformed.fault}, byte ${event.malformed.offset})`);
  if (event.dns !== undefined)
    parts.push(event.dns.opcode ?? "", event.dns.type, event.dns.name, event.dns.rcode ?? "");
  if (event.direction === "ingress" && event.dst.port !== undefined) parts.push(`at port ${event.dst.port}`);
  return parts.filter((part) => part !== "").join(" ");
}

function processText(process: ProcessReference | null): string {
  if (process === null) return "(no process)";
  const path = process.script === undefined ? (process.path ?? process.comm ?? "?") : process.script;
  const pid = process.pid === undefined ? "" : `[${process.pid}]`;
  return `${path}${pid}${process.modified === true ? "*" : ""}`;
}

function endpointText(endpoint: Endpoint, withPort: boolean): string {
  const host = endpoint.name === undefined ? endpoint.ip : `${endpoint.name}(${endpoint.ip})`;
  if (!withPort || endpoint.port === undefined) return host;
  return endpoint.name === undefined && host.includes(":") ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`;
}

function revisionText(event: RevisionEvent, paint: Paint): string {
  const id = event.revision.slice(0, 12);
  if (!event.refused) {
    const changes = event.changes.flatMap(({ workload, changes: lines }) =>
      lines.map((line) => `\n    ${printable(`${workload}: ${line}`)}`),
    );
    return `${paint(BOLD, "revision")}  ${id} in force: ${printable(event.profiles.join(", ")) || "no profile"}${changes.join("")}`;
  }
  const errors = event.errors.map(({ source, field, message }) => {
    const where = [source, field].filter((part) => part !== "").join(": ");
    return `\n    ${printable(`${where}: ${message}`)}`;
  });
  return `${paint(BOLD, "revision")}  ${id} ${paint(RED, "refused")}, the one before stays in force${errors.join("")}`;
}

function workloadText(event: WorkloadEvent, paint: Paint): string {
  const gone = event.state === "gone";
  const interfaces = event.interfaces.length > 0 && !gone ? ` on ${event.interfaces.join(", ")}` : "";
  const profiles = event.profiles.length > 0 && !gone ? ` by ${event.profiles.join(", ")}` : "";
  const error = event.error === undefined ? "" : `: ${event.error.message}`;
  const state = paint(WORKLOAD_STATES[event.state], event.state);
  return `${paint(BOLD, "workload")}  ${printable(event.workload.name)} ${state}${printable(interfaces + profiles + error)}`;
}

function lostText(where: "kernel" | "output"): string {
  return where === "kernel" ? "the ring buffer was full" : "standard output was not read fast enough";
}

/** `12:34:56.789`, local time: a person compares it with their own clock. */
function clockTime(time: string): string {
  const date = new Date(time);
  const two = (value: number) => String(value).padStart(2, "0");
  const milliseconds = String(date.getMilliseconds()).padStart(3, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${milliseconds}`;
}
