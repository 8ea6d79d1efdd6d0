/** Packet counters as a table: per process what was allowed, alerted and dropped, and why. */
import type { TrafficCount } from "../node-agent/enforce/counters.ts";
import { tableLines } from "./tables.ts";

interface Line {
  process: string;
  direction: string;
  allowed: number;
  /** Packets by reason. */
  alerted: Map<string, number>;
  dropped: Map<string, number>;
  counted: Map<string, number>;
}

/** Lines without newlines; none without traffic. */
export function trafficLines(traffic: readonly TrafficCount[], indent = ""): string[] {
  const lines = new Map<string, Line>();
  for (const count of traffic) addTo(lines, count);
  if (lines.size === 0) return [];
  // A column that is empty throughout tells nothing.
  const withCounted = [...lines.values()].some(({ counted }) => counted.size > 0);
  const heading = ["PROCESS", "DIRECTION", "ALLOWED", "ALERTED", "DROPPED", ...(withCounted ? ["COUNTED"] : [])];
  const rows = [...lines.values()].map((line) => [
    line.process,
    line.direction,
    String(line.allowed),
    reasonsText(line.alerted),
    reasonsText(line.dropped),
    ...(withCounted ? [reasonsText(line.counted)] : []),
  ]);
  return tableLines([heading, ...rows], indent);
}

function addTo(lines: Map<string, Line>, { path, modified, direction, verdict, reason, packets }: TrafficCount): void {
  const process = path === null ? "(no process)" : `${path}${modified ? " (modified)" : ""}`;
  const key = `${process} ${direction}`;
  const line = lines.get(key) ?? {
    ...{ process, direction, allowed: 0 },
    ...{ alerted: new Map(), dropped: new Map(), counted: new Map() },
  };
  lines.set(key, line);
  if (verdict === "allowed") line.allowed += packets;
  else line[verdict].set(reason, (line[verdict].get(reason) ?? 0) + packets);
}

/** `12 (Peer 10, Port 2)`. */
function reasonsText(reasons: ReadonlyMap<string, number>): string {
  if (reasons.size === 0) return "0";
  const total = [...reasons.values()].reduce((sum, packets) => sum + packets, 0);
  return `${total} (${[...reasons].map(([reason, packets]) => `${reason} ${packets}`).join(", ")})`;
}
