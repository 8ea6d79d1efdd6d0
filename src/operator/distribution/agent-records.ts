/** What is known of each node's agent: what it holds, and what it has reported. Outlives its streams for a while. */

import type { Counters, NodeProblems, PodState, PodStates, Problem, Refusal } from "../../gen/agent_pb.js";
import type { Violations } from "../../gen/telemetry_pb.js";
import { unconfined } from "../../net/confine.ts";
import type { Bindings } from "../../protocol/bindings.ts";
import { BadMessageError } from "../../protocol/field-checks.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import { type PodRecord, searchDomainsOf } from "../cluster/pod-record.ts";
import { sharedText } from "../cluster/shared-values.ts";

/** A revision may be unanswered for so many milliseconds before that is worth telling. */
export const ANSWER_MS = 15_000;
/** And an agent may be away for so long, for an upgrade say. */
export const AGENT_GRACE_MS = 10_000;

/** What an agent has said of a pod. */
export type ReportedPod = Pick<
  PodState,
  "phase" | "tableHash" | "code" | "message" | "searchDomains" | "searchDomainsKnown" | "sharedFiles" | "letThrough"
>;

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
  /** By the uid of the pod. */
  pods: Map<string, ReportedPod>;
  /** Characters of all that is said of them. */
  podCharacters: number;
  problems: readonly Problem[];
  searchDomains: readonly string[];
  /** Why its agent was not let in when it came last; null where it was. */
  turnedAway: string | null;
  /** Of the last report of counters: a report that comes twice counts once. */
  instance: string;
  sequence: bigint;
}

/** What a node's agent may have reported of its pods at one time: no node runs so many, nor is so much said of them. */
const PODS_MAX = 5_000;
const PODS_CHARACTERS_MAX = 8 * 1024 * 1024;

/** Agents of nodes without pods are forgotten after this long. */
const FORGET_MS = 60 * 60_000;

const NO_DOMAINS: string[] = [];
const NO_FILES: PodState["sharedFiles"] = [];

/** Who wants to know of reports. */
export interface ReportListener {
  /** Something is different for these pods of the node; null: for all of them. */
  reported(node: string, podUids: Iterable<string> | null): void;
  /** Search lists of these pods may be others; null: of all pods of the node. */
  domainsReported(node: string, podUids: Iterable<string> | null): void;
  counted(node: string, counters: Counters): void;
  violated(node: string, violations: Violations): void;
}

export class AgentRecords {
  readonly #records = new Map<string, AgentRecord>();
  readonly #listeners = new Set<ReportListener>();

  /** Tells the listener of reports from now on. */
  subscribe(listener: ReportListener): void {
    this.#listeners.add(listener);
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
    const before = record.searchDomains;
    record.searchDomains = [...hello.searchDomains];
    record.connected = true;
    record.turnedAway = null;
    record.lastSeen = steadyNow();
    this.#records.set(node, record);
    this.#notify((listener) => listener.reported(node, null));
    if (!isSameList(before, record.searchDomains)) this.#notify((listener) => listener.domainsReported(node, null));
    return record;
  }

  /** An agent has said hello, and cannot be worked with. */
  turnedAway(node: string, why: string): void {
    const record = this.#records.get(node) ?? newRecord(node);
    this.#records.set(node, record);
    // A second agent of a node, say, beside one that is at work.
    if (record.connected || record.turnedAway === why) return;
    record.turnedAway = why;
    this.#notify((listener) => listener.reported(node, null));
  }

  /** Time has passed in which something should have happened. */
  overdue(node: string): void {
    if (this.#records.has(node)) this.#notify((listener) => listener.reported(node, null));
  }

  disconnect(node: string): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    record.connected = false;
    record.waitingSince = null;
    record.lastSeen = steadyNow();
    this.#notify((listener) => listener.reported(node, null));
  }

  acknowledged(node: string, bindings: Bindings): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    // Whoever waited for an answer for too long, or was refused, has been reported as a whole.
    const isTrouble = record.refusal !== null || isOverdue(record);
    const changed = isTrouble || record.acknowledged === null ? null : changedUids(record.acknowledged, bindings);
    record.acknowledged = bindings;
    record.waitingSince = null;
    record.refusal = null;
    if (changed === null || changed.size > 0) this.#notify((listener) => listener.reported(node, changed));
  }

  refused(node: string, { code, message }: Refusal): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    record.refusal = { code, message };
    record.waitingSince = null;
    this.#notify((listener) => listener.reported(node, null));
  }

  podStates(node: string, { full, pods, removed }: PodStates): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    const reported = [...pods.map(({ podUid }) => podUid), ...removed];
    const uids = full ? [...new Set([...record.pods.keys(), ...reported])] : reported;
    const domains = uids.map((uid) => domainsText(record.pods.get(uid)));
    if (full) setPods(record, record.pods.keys(), []);
    setPods(record, removed, pods);
    this.#notify((listener) => listener.reported(node, full ? null : reported));
    const others = uids.filter((uid, index) => domains[index] !== domainsText(record.pods.get(uid)));
    if (others.length > 0) this.#notify((listener) => listener.domainsReported(node, others));
  }

  problems(node: string, { problems }: NodeProblems): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    const isSame = problems.length === 0 && record.problems.length === 0;
    record.problems = problems;
    if (!isSame) this.#notify((listener) => listener.reported(node, null));
  }

  /** Takes a report of counters, once. */
  counters(node: string, instance: string, counters: Counters): void {
    const record = this.#records.get(node);
    if (record === undefined) return;
    if (record.instance === instance && counters.sequence <= record.sequence) return;
    record.instance = instance;
    record.sequence = counters.sequence;
    this.#notify((listener) => listener.counted(node, counters));
  }

  /** Search list of a pod's resolv.conf: what its node's agent has read there; else what it has to be by its definition. */
  searchDomainsOf(pod: PodRecord, clusterDomain: string): string[] {
    const agent = this.#records.get(pod.nodeName);
    const state = agent?.pods.get(pod.uid);
    if (state?.searchDomainsKnown) return [...state.searchDomains];
    return searchDomainsOf(pod, clusterDomain, agent?.searchDomains ?? []);
  }

  /** Forgets agents that have been away for an hour, of nodes without pods. */
  forgetAbsent(hasPods: (node: string) => boolean): void {
    for (const { node, connected, lastSeen } of [...this.#records.values()]) {
      if (!connected && steadyNow() - lastSeen > FORGET_MS && !hasPods(node)) this.#records.delete(node);
    }
  }

  violations(node: string, violations: Violations): void {
    this.#notify((listener) => listener.violated(node, violations));
  }

  /** What follows from a report concerns all, and not the one agent's session. */
  #notify(report: (listener: ReportListener) => void): void {
    for (const listener of this.#listeners) unconfined(() => report(listener));
  }
}

/** Pods whose bindings are not the same in both. */
function changedUids(before: Bindings, after: Bindings): Set<string> {
  const changed = new Set<string>();
  for (const [uid, binding] of after) if (before.get(uid) !== binding) changed.add(uid);
  for (const uid of before.keys()) if (!after.has(uid)) changed.add(uid);
  return changed;
}

function isOverdue({ waitingSince }: AgentRecord): boolean {
  return waitingSince !== null && steadyNow() - waitingSince > ANSWER_MS;
}

/** @throws BadMessageError where it is more than a node can have; what is there by then stays */
function setPods(record: AgentRecord, removed: Iterable<string>, changed: readonly PodState[]): void {
  for (const uid of [...removed, ...changed.map(({ podUid }) => podUid)]) {
    record.podCharacters -= charactersOf(record.pods.get(uid));
    record.pods.delete(uid);
  }
  for (const state of changed) {
    record.podCharacters -= charactersOf(record.pods.get(state.podUid));
    record.podCharacters += charactersOf(state);
    record.pods.set(sharedUid(record, state.podUid), kept(state));
    if (record.pods.size > PODS_MAX || record.podCharacters > PODS_CHARACTERS_MAX) {
      throw new BadMessageError("podStates", `says of ${record.pods.size} pods more than a node can have`);
    }
  }
}

function charactersOf(state: ReportedPod | undefined): number {
  if (state === undefined) return 0;
  const files = state.sharedFiles.flatMap(({ path, names }) => [path, ...names]);
  const texts = [state.code, state.message, state.tableHash, ...state.searchDomains, ...files];
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** There are as many of these as pods, and most say the same as the next one. */
function kept({
  phase,
  tableHash,
  code,
  message,
  searchDomains,
  searchDomainsKnown,
  sharedFiles,
  letThrough,
}: PodState): ReportedPod {
  return {
    phase,
    tableHash: sharedText(tableHash),
    code: sharedText(code),
    message: sharedText(message),
    searchDomains: searchDomains.length === 0 ? NO_DOMAINS : searchDomains,
    searchDomainsKnown,
    sharedFiles: sharedFiles.length === 0 ? NO_FILES : sharedFiles,
    letThrough,
  };
}

/** The same text as the binding has. */
function sharedUid({ acknowledged }: AgentRecord, uid: string): string {
  return acknowledged?.get(uid)?.podUid ?? uid;
}

/** Null: not known. */
function domainsText(state: ReportedPod | undefined): string | null {
  return state?.searchDomainsKnown ? state.searchDomains.join(" ") : null;
}

function isSameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((item, index) => item === right[index]);
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
    podCharacters: 0,
    problems: [],
    searchDomains: [],
    turnedAway: null,
    instance: "",
    sequence: 0n,
  };
}
