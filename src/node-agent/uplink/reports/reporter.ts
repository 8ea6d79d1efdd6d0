/**
 * What is reported to the operator beside its revisions, at its pace: states of pods as they change, packet counters until they
 * are acknowledged, and what is wrong on the node.
 */
import { create } from "@bufbuild/protobuf";
import {
  type AgentMessage,
  CountersSchema,
  NodeProblemsSchema,
  type PodState,
  PodStatesSchema,
  type Problem,
} from "../../../gen/agent_pb.js";
import { message } from "../message.ts";
import type { CounterReport } from "./counter-report.ts";

export interface ReportStream<Message> {
  readonly full: boolean;
  write(message: Message): void;
}

export interface ReporterParts {
  counters: CounterReport;
  /** The operator has the counters up to these values of the kernel's. */
  onCountersKept?: (reported: ReadonlyMap<string, number>) => void;
}

/** Changes of pods are sent together when they come this close upon each other. */
const POD_STATES_DELAY_MS = 100;
/** Pods of one message. */
const PODS_PER_MESSAGE = 500;

export class Reporter {
  readonly #parts: ReporterParts;
  #stream: ReportStream<AgentMessage> | null = null;
  #interval: NodeJS.Timeout | null = null;
  #soon: NodeJS.Timeout | null = null;
  #pods: ReadonlyMap<string, PodState> = new Map();
  /** What was last sent on this stream; null: nothing yet. */
  #sentPods: Map<string, string> | null = null;
  #problems: readonly Problem[] = [];
  #sentProblems: string | null = null;

  constructor(parts: ReporterParts) {
    this.#parts = parts;
  }

  /** A stream is there: all is sent anew on it. @param interval milliseconds between reports of counters */
  start(stream: ReportStream<AgentMessage>, interval: number): void {
    this.stop();
    this.#stream = stream;
    this.#interval = setInterval(() => this.#report(), interval);
    this.#sendStates();
    this.#parts.counters.retry();
    this.#report();
  }

  stop(): void {
    for (const timer of [this.#interval, this.#soon]) if (timer !== null) clearTimeout(timer);
    this.#interval = null;
    this.#soon = null;
    this.#stream = null;
    this.#sentPods = null;
    this.#sentProblems = null;
  }

  /** All pods of the node, as they are now. */
  setPods(pods: ReadonlyMap<string, PodState>): void {
    this.#pods = pods;
    this.#sendSoon();
  }

  setProblems(problems: readonly Problem[]): void {
    this.#problems = problems;
    this.#sendSoon();
  }

  /** There is room again. */
  flush(): void {
    this.#sendStates();
  }

  acknowledged(sequence: bigint): void {
    if (this.#parts.counters.acknowledged(sequence)) this.#parts.onCountersKept?.(this.#parts.counters.reported);
  }

  #sendSoon(): void {
    if (this.#stream === null) return;
    this.#soon ??= setTimeout(() => this.#sendStates(), POD_STATES_DELAY_MS);
  }

  #sendStates(): void {
    if (this.#soon !== null) clearTimeout(this.#soon);
    this.#soon = null;
    if (this.#stream === null || this.#stream.full) return;
    this.#sendProblems(this.#stream);
    this.#sendPods(this.#stream);
  }

  #sendProblems(stream: ReportStream<AgentMessage>): void {
    const text = JSON.stringify(this.#problems.map(({ code, message: words }) => [code, words]));
    if (text === this.#sentProblems) return;
    this.#sentProblems = text;
    stream.write(
      message({ case: "nodeProblems", value: create(NodeProblemsSchema, { problems: [...this.#problems] }) }),
    );
  }

  #sendPods(stream: ReportStream<AgentMessage>): void {
    const full = this.#sentPods === null;
    const sent = this.#sentPods ?? new Map<string, string>();
    const removed = [...sent.keys()].filter((uid) => !this.#pods.has(uid));
    const changed = [...this.#pods].filter(([uid, state]) => sent.get(uid) !== stateText(state));
    if (!full && removed.length === 0 && changed.length === 0) return;
    for (const uid of removed) sent.delete(uid);
    for (const [uid, state] of changed) sent.set(uid, stateText(state));
    this.#sentPods = sent;
    const chunks = Math.max(1, Math.ceil(changed.length / PODS_PER_MESSAGE));
    for (let index = 0; index < chunks; index += 1) {
      const pods = changed.slice(index * PODS_PER_MESSAGE, (index + 1) * PODS_PER_MESSAGE).map(([, state]) => state);
      const value = create(PodStatesSchema, { full: full && index === 0, pods, removed: index === 0 ? removed : [] });
      stream.write(message({ case: "podStates", value }));
    }
  }

  #report(): void {
    if (this.#stream === null || this.#stream.full) return;
    const counters = this.#parts.counters.next();
    if (counters !== null) {
      this.#stream.write(message({ case: "counters", value: create(CountersSchema, counters) }));
    }
  }
}

function stateText(state: PodState): string {
  const { podUid, phase, tableHash, code, message: words, searchDomains, searchDomainsKnown, sharedFiles } = state;
  const files = sharedFiles.map(({ path, names }) => [path, names]);
  return JSON.stringify([podUid, phase, tableHash, code, words, searchDomains, searchDomainsKnown, files]);
}
