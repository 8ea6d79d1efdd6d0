/** A verdict in the demo's words. */
import type { Verdict } from "../../src/api/reasons.ts";
import type { VerdictEvent } from "../../src/node-agent/events/event.ts";
import type { Screen, Style } from "./screen.ts";
import { PREFIX } from "./topology.ts";

export const VERDICT_STYLES: Record<Verdict, Style> = {
  allowed: "green",
  alerted: "yellow",
  dropped: "red",
  counted: "dim",
};

const PROCESS_WIDTH = 22;
const WHAT_WIDTH = 40;

/** A verdict event as one line: verdict, pod, process, what it is about, reason. */
export function verdictLine(event: VerdictEvent, screen: Screen): string {
  const reason = event.verdict === "allowed" ? "" : event.reason;
  return [
    screen.paint(VERDICT_STYLES[event.verdict], event.verdict.padEnd(7)),
    podOf(event).padEnd(8),
    processOf(event).padEnd(PROCESS_WIDTH),
    whatOf(event).padEnd(WHAT_WIDTH),
    screen.paint("bold", reason),
  ]
    .join(" ")
    .trimEnd();
}

export function podOf({ workload }: VerdictEvent): string {
  return workload.name.startsWith(PREFIX) ? workload.name.slice(PREFIX.length) : workload.name;
}

export function processOf({ process }: VerdictEvent): string {
  return process === null ? "(no process)" : (process.path ?? "(unknown)");
}

/** What was said to whom: `asks NAME`, `→ NAME:80 tcp`, `← 10.0.0.1 at port 80`. */
export function whatOf(event: VerdictEvent): string {
  const { direction, proto, src, dst, dns } = event;
  if (event.type === "listen") return `listens on port ${dst.port}`;
  if (proto === "arp") return direction === "egress" ? `→ arp, about ${dst.ip}` : `← arp, from ${src.ip}`;
  if (dns !== undefined) return `asks ${dns.name} ${dns.type}`;
  if (direction === "ingress") return `← ${src.ip} at port ${dst.port ?? "-"} ${event.application ?? proto}`;
  return `→ ${dst.name ?? dst.ip}${dst.port === undefined ? "" : `:${dst.port}`} ${event.application ?? proto}`;
}

/** The same line would be shown again for another try of the same process. */
export function sameLine(event: VerdictEvent): string {
  const { process, verdict, reason, direction } = event;
  return JSON.stringify([podOf(event), process?.pid, processOf(event), verdict, reason, direction, whatOf(event)]);
}
