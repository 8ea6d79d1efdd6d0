/** Packet counters as a table: per process and direction how many were allowed, alerted and dropped, and why. */
import { REASON_WORDS } from "../../api/reasons.ts";
import type { TrafficCount } from "../../node-agent/enforce/tables/counters.ts";
import { fold } from "../../terminal/fit.ts";
import { tableLines } from "../../terminal/table.ts";

const HEADING = ["PROCESS", "DIRECTION", "VERDICT", "PACKETS", "REASON"];

/** Lines without newlines, reasons in words below; none without traffic. @param width columns of a line */
export function trafficLines(traffic: readonly TrafficCount[], width: number, indent = ""): string[] {
  if (traffic.length === 0) return [];
  const rows = traffic.map(({ path, modified, direction, verdict, reason, packets }) => [
    path === null ? "(no process)" : `${path}${modified ? "*" : ""}`,
    direction,
    verdict,
    String(packets),
    verdict === "allowed" ? "" : reason,
  ]);
  const table = tableLines([HEADING, ...rows], {
    fits: ["path", "keep", "keep", "right", "keep"],
    width,
    indent,
  });
  const refused = traffic.filter(({ verdict }) => verdict !== "allowed").map(({ reason }) => reason);
  const words = [...new Set(refused)].map((reason) => `${indent}${reason}: ${REASON_WORDS[reason]}`);
  if (traffic.some(({ modified }) => modified)) words.push(`${indent}*: changed after its container started`);
  return [...table, ...words.flatMap((line) => fold(line, width, indent.length + 2))];
}
