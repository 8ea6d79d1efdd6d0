/** A verdict in the demo's words: the agent's own line, with the pod's short name. */
import type { VerdictEvent } from "../../src/flow/record.ts";
import { processText, verdictLayout, verdictLine, whatText } from "../../src/flow/verdict-text.ts";
import type { Screen } from "./screen.ts";
import { PREFIX } from "./topology.ts";

/** A verdict event as one line: verdict, pod, process, what it is about, reason. @param width columns that it may have */
export function demoLine(event: VerdictEvent, screen: Screen, width: number): string {
  const layout = { ...verdictLayout(width, { time: false, workload: true }), pid: false };
  return verdictLine(event, layout, screen.paint, podOf(event));
}

export function podOf({ workload }: VerdictEvent): string {
  return workload.name.startsWith(PREFIX) ? workload.name.slice(PREFIX.length) : workload.name;
}

/** The same line would be shown again for another try of the same process. */
export function sameLine(event: VerdictEvent): string {
  const { process, verdict, reason, direction } = event;
  return JSON.stringify([podOf(event), process?.pid, processText(event), verdict, reason, direction, whatText(event)]);
}
