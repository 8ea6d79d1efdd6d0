/** Events as lines for a person: columns under a heading, folded and cut to the width of a terminal, coloured on one. */
import { printable } from "../api/printable.ts";
import { REASON_WORDS, type Reason } from "../api/reasons.ts";
import { BOLD, DIM, GREEN, type Paint, painter, RED, YELLOW } from "../terminal/colours.ts";
import { fold } from "../terminal/fit.ts";
import {
  type AgentEvent,
  type FlowEvent,
  isVerdict,
  type LossPlace,
  type LostEvent,
  type RecordKind,
  type RevisionEvent,
  type VerdictEvent,
  type WorkloadEvent,
} from "./record.ts";
import { clockTime, type VerdictLayout, verdictHeading, verdictLayout, verdictLine } from "./verdict-text.ts";

const NS_PER_MS = 1e6;
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

export interface EventTextOptions {
  colours: boolean;
  /** Columns of a line; Infinity: nothing is cut or folded. */
  width: number;
  /** All events are of one workload, whose name is left out. */
  oneWorkload: boolean;
}

/** Writes one stream of events: the heading stands over its first verdict, and a reason is explained where it first occurs. */
export class EventText {
  readonly #layout: VerdictLayout;
  readonly #width: number;
  readonly #paint: Paint;
  readonly #explained = new Set<Reason>(["Allowed"]);
  #hasHeading = false;

  constructor({ colours, width, oneWorkload }: EventTextOptions) {
    this.#layout = verdictLayout(width, { time: true, workload: !oneWorkload });
    this.#width = width;
    this.#paint = painter(colours);
  }

  /** An event as lines without the last newline. */
  lines(event: AgentEvent): string {
    if (isVerdict(event)) return this.#verdict(event);
    const time = clockTime(event.time).slice(0, this.#layout.time ?? 0);
    const [first = "", ...more] = occurrence(event, this.#paint);
    const folded = [
      ...fold(`${this.#paint(DIM, time)} ${first}`, this.#width, time.length + 1),
      ...more.flatMap((line) => fold(`    ${line}`, this.#width, 6)),
    ];
    return folded.join("\n");
  }

  #verdict(event: VerdictEvent): string {
    const lines = [verdictLine(event, this.#layout, this.#paint, event.workload.name)];
    if (!this.#hasHeading) lines.unshift(this.#paint(DIM, verdictHeading(this.#layout)));
    this.#hasHeading = true;
    if (!this.#explained.has(event.reason)) lines.push(...this.#explanation(event.reason));
    return lines.join("\n");
  }

  #explanation(reason: Reason): string[] {
    this.#explained.add(reason);
    const indent = (this.#layout.time ?? 0) + 1;
    return fold(`${" ".repeat(indent)}${reason}: ${REASON_WORDS[reason]}`, this.#width, indent).map((line) =>
      this.#paint(DIM, line),
    );
  }
}

/** What happened to workloads and profiles: a line, and details below it. */
function occurrence(event: Exclude<AgentEvent, VerdictEvent>, paint: Paint): string[] {
  switch (event.type) {
    case "ready":
      return [`${paint(BOLD, "ready")}    ${printable(event.workloads.join(", ")) || "no workload"}`];
    case "revision":
      return revisionLines(event, paint);
    case "workload":
      return [workloadLine(event, paint)];
    case "flow":
      return [flowLine(event, paint)];
    case "lost":
      return [`${paint(RED, "lost")}     ${lostText(event)}`];
  }
}

function flowLine(event: FlowEvent, paint: Paint): string {
  const { direction, src, dst, packets, bytes } = event;
  const who = printable(`${event.workload.name} ${event.process?.script ?? event.process?.path ?? "-"}`);
  const [peer, port] = direction === "egress" ? [dst, dst.port] : [src, dst.port];
  const service = `${port === undefined ? "" : `${port}/`}${event.proto}`;
  const arrow = direction === "egress" ? "→" : "←";
  const counts = `sent ${packets.sent} packets, ${bytes.sent} bytes; received ${packets.received}, ${bytes.received}`;
  const end = event.end === undefined ? "" : `; ${event.end}${failureText(event)}`;
  return `${paint(BOLD, "flow")}     ${who} ${arrow} ${printable(peer.name ?? peer.ip)} ${service}: ${counts}${end}`;
}

/** ` (refused)`, or how long a round trip took. */
function failureText({ tcp }: FlowEvent): string {
  if (tcp?.failure !== undefined) return ` (${tcp.failure})`;
  return tcp?.rtt === undefined ? "" : `, round trip ${(tcp.rtt.smoothedNs / NS_PER_MS).toFixed(1)} ms`;
}

function revisionLines(event: RevisionEvent, paint: Paint): string[] {
  const id = event.revision.slice(0, 12);
  if (!event.refused) {
    const changes = event.changes.flatMap(({ workload, changes: lines }) =>
      lines.map((line) => printable(`${workload}: ${line}`)),
    );
    const profiles = printable(event.profiles.join(", ")) || "no profile, so nothing is restricted";
    return [`${paint(BOLD, "revision")} ${id} in force: ${profiles}`, ...changes];
  }
  const errors = event.errors.map(({ source, field, message }) =>
    printable([source, field, message].filter((part) => part !== "").join(": ")),
  );
  return [`${paint(BOLD, "revision")} ${id} ${paint(RED, "refused")}, the one before stays in force`, ...errors];
}

function workloadLine(event: WorkloadEvent, paint: Paint): string {
  const gone = event.state === "gone";
  const interfaces = event.interfaces.length > 0 && !gone ? ` on ${event.interfaces.join(", ")}` : "";
  const profiles = event.profiles.length > 0 && !gone ? ` by ${event.profiles.join(", ")}` : "";
  const isFree = event.state === "unrestricted";
  const why = event.error?.message ?? (isFree ? "no profile selects it" : undefined);
  const reason = why === undefined ? "" : `: ${why}`;
  const state = paint(WORKLOAD_STATES[event.state], isFree ? "not restricted" : event.state);
  return `${paint(BOLD, "workload")} ${printable(event.workload.name)} ${state}${printable(interfaces + profiles + reason)}`;
}

const KIND_WORDS: Record<RecordKind, string> = {
  violation: "violations",
  allowed: "allowed flows",
  dns: "DNS messages",
  flow: "flows that were forgotten",
};

const PLACE_WORDS: Record<LossPlace, string> = {
  kernel: "their ring buffer was full",
  output: "the output was not read fast enough",
  queue: "there were more than the agent could keep",
  disk: "the disk did not take them",
  export: "the destination of the export did not take them",
};

function lostText({ where, kind, count }: LostEvent): string {
  return `${count} ${kind === undefined ? "events" : KIND_WORDS[kind]}, ${PLACE_WORDS[where]}`;
}
