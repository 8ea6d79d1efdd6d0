/** What is known of each node's agent: what it holds, and what it has reported. Outlives its streams for a while. */
import type {
  Counters,
  NodeProblems,
  PodState,
  PodStates,
  Problem,
  Refusal,
  Violations,
} from "../../protocol/agent_pb.js";
import type { Bindings } from "../../protocol/bindings.ts";

/** A revision may be unanswered for so many milliseconds before that is worth telling. */
export const ANSWER_MS = 15_000;
/** And an agent may be away for so long, for an upgrade say. */
export const AGENT_GRACE_MS = 10_000;

export interface AgentRecord {
  node: string;
  version: string;
  connected: boolean;
  /** When it was connected last, in milliseconds since 1970. */
  lastSeen: number;
  /** Bindings that it has acknowledged; null before the first acknowledgement. */
  acknowledged: Bindings | null;
  /** Since when a revision is unanswered; null if none is. */
  waitingSince: number | null;
  /** The last revision that was refused, null if a later one was taken. */
  refusal: { code: string; message: string } | null;
  pods: Map<string, PodState>;
  problems: readonly Problem[];
  searchDomains: readonly string[];
  /** Of the last report of counters: a report that comes twice counts once. */
  instance: string;
  sequence: bigint;
}

/** Who wants to know of reports. */
export interface ReportListener {
  /** Something is different for these pods of the node; null: for all of them. */
  reported(node: string, podUids: readonly string[] | null): void;
  counted(node: string, counters: Counters): void;
  violated(node: string, violations: Violations): void;
}

export class AgentRecords {
  readonly #records = new Map<string, AgentRecord>();
  readonly #listener: ReportListener;

  constructor(listener: ReportListener) {
    this.#listener = listener;
  }

  get(node: string): AgentRecord | undefined {
    return this.#records.get(node);
  }

  all(): Iterable<AgentRecord> {
    return this.#records.values();
  }

  get connected(): number {
    return [...this.#records.values()].filter(({ connected }) => connected).length;
  }

  /** An agent has said hello. */
  connect(node: string, hello: { version: string; searchDomains: readonly string[] }): AgentRecord {
    const record = this.#records.get(node) ?? newRecord(node);
    record.version = hello.version;
    record.searchDomains = [...hello.searchDomains];
    record.connected = true;
    record.lastSeen = Date.now();
    this.#records.set(node, record);
    this.#listener.reported(node, null);
    return record;
  }

  /** Time has passed in which something should have happened. */
  overdue(node: string): void {
    if (this.#records.has(node)) this.#listener.reported(node, null);
  }

  disconnect(node: string): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    record.connected = false;
    record.waitingSince = null;
    record.lastSeen = Date.now();
    this.#listener.reported(node, null);
  }

  /** The node has no pods any more, and its agent is gone. */
  forget(node: string): void {
    this.#records.delete(node);
  }

  acknowledged(node: string, bindings: Bindings): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    record.acknowledged = bindings;
    record.waitingSince = null;
    record.refusal = null;
    this.#listener.reported(node, null);
  }

  refused(node: string, { code, message }: Refusal): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    record.refusal = { code, message };
    record.waitingSince = null;
    this.#listener.reported(node, null);
  }

  podStates(node: string, { full, pods, removed }: PodStates): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    if (full) record.pods.clear();
    for (const state of pods) record.pods.set(state.podUid, state);
    for (const uid of removed) record.pods.delete(uid);
    this.#listener.reported(node, full ? null : [...pods.map(({ podUid }) => podUid), ...removed]);
  }

  problems(node: string, { problems }: NodeProblems): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    record.problems = problems;
    this.#listener.reported(node, null);
  }

  /** Takes a report of counters, once. */
  counters(node: string, instance: string, counters: Counters): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    if (record.instance === instance && counters.sequence <= record.sequence) return;
    record.instance = instance;
    record.sequence = counters.sequence;
    this.#listener.counted(node, counters);
  }

  violations(node: string, violations: Violations): void {
    this.#listener.violated(node, violations);
  }
}

function newRecord(node: string): AgentRecord {
  return {
    node,
    version: "",
    connected: false,
    lastSeen: 0,
    acknowledged: null,
    waitingSince: null,
    refusal: null,
    pods: new Map(),
    problems: [],
    searchDomains: [],
    instance: "",
    sequence: 0n,
  };
}
