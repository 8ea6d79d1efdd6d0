/** The results as text: on the terminal, and as the section "Control plane under attack" of docs/benchmarks.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";
import { withSection } from "../report/page.ts";
import type { Measured, PlaneResult } from "./measure.ts";

const DOCUMENT = fileURLToPath(new URL("../../docs/benchmarks.md", import.meta.url));
/** What the project wants to hold. */
export const DELAY_MS = 50;
export const EDIT_MS = 1_000;

export function writePlaneSection(text: string): void {
  writeFileSync(DOCUMENT, withSection(readFileSync(DOCUMENT, "utf8"), "bench-plane", text));
}

/** Markdown, which can be read on a terminal too. */
export function planeText(results: readonly PlaneResult[], seconds: number): string {
  const head = ["load", "event loop p99, ms", "edit p50, ms", "edit worst, ms", "agents cut off", "met"];
  const rows = results.map(row);
  const lines = [head, head.map((_, column) => (column === 0 ? "---" : "---:")), ...rows];
  return `## Control plane under attack

\`make bench-plane\`, ${new Date().toISOString().slice(0, 10)}, on ${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown"}, ${seconds} s without
and ${seconds} s with each load. Wanted: event loop p99 below ${DELAY_MS} ms, edits of another namespace in force within ${EDIT_MS / 1000} s, no agent cut off.
Processes that waited for a CPU at the end, on average: ${loadavg()[0]?.toFixed(1)}.

${lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n")}

- Each figure is \`without the load -> with it (ratio)\`, of the same operator in the same run: what else the machine does is in both.
- The operator is a process of its own, with the heap that its container has. The API server is a made-up one in the benchmark's process, which
  also makes the tenants' loads and has the agents: their work takes CPU from the operator. Floods come from a thread of their own.
- The event loop's lag is the operator's own metric, \`portcullis_nodejs_eventloop_lag_p99_seconds\`, of its main thread.
`;
}

function row({ load, unloaded, loaded, agents, cutOff }: PlaneResult): string[] {
  return [
    load.what,
    against(unloaded.delay, loaded.delay),
    against(unloaded.edit.p50, loaded.edit.p50),
    against(unloaded.edit.worst, loaded.edit.worst),
    `${cutOff} of ${agents}`,
    isMet(loaded, cutOff) ? "yes" : "**no**",
  ];
}

function isMet({ delay, edit }: Measured, cutOff: number): boolean {
  return delay < DELAY_MS && edit.worst < EDIT_MS && cutOff === 0;
}

function against(before: number, after: number): string {
  return `${before.toFixed(0)} -> ${after.toFixed(0)} (${(after / before).toFixed(1)})`;
}
