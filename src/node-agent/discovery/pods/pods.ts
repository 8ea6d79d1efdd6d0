/**
 * Workloads that are the pods of this node, found by their cgroups and network namespaces, without a runtime's socket:
 * whatever the runtime, and whether or not it, the kubelet or the API server is there. What cannot be seen (names,
 * labels) comes from a directory; whoever is not in it is found nevertheless.
 *
 * Notifications (inotify on cgroups, rtnetlink in the node's namespace and in each pod's) say when to look; while a pod is
 * being made it is looked at on a short timer; a slower look at everything finds what nothing tells.
 */
import { causeText } from "../../../api/errors.ts";
import { ROUTE_GROUP } from "../../ffi/sockets.ts";
import type { ForeignFiles } from "../../foreign-files/foreign-files.ts";
import { type CgroupHierarchy, cgroupHierarchies } from "../../kernel/mounts.ts";
import { RouteConnection, RouteWatch } from "../../netlink/connection.ts";
import { WorkloadError } from "../../netlink/errors.ts";
import { listLinks } from "../../netlink/links.ts";
import type { UnresolvedWorkload, Workload, WorkloadListener, WorkloadSnapshot, WorkloadSource } from "../workload.ts";
import { type PodCgroups, PodCgroupTree } from "./pod-cgroups.ts";
import type { PodDirectory, PodFacts } from "./pod-facts.ts";
import { type NodeView, PodWatch } from "./pod-watch.ts";

export interface PodWorkloadsOptions {
  /** By whom files of pods are looked at. */
  files: Pick<ForeignFiles, "ask">;
  /** Called with what went wrong while looking; the last state stays, and the next look tries again. */
  onError: (error: unknown) => void;
  /** Cgroup hierarchies to look at, v2 first; those that are mounted unless given. */
  hierarchies?: readonly CgroupHierarchy[];
  /** Milliseconds between two looks at what notifies, where that cannot call. */
  pollInterval?: number;
  /** Milliseconds between two looks at everything. */
  refreshInterval?: number;
}

const POLL_INTERVAL = 20;
const REFRESH_INTERVAL = 5000;
/** After a change, pods that are being made are looked at this often, this long. */
const SETTLE_INTERVAL = 5;
const SETTLE_TIME = 3000;

interface Entry {
  readonly watch: PodWatch;
  state: Workload | WorkloadError;
  settled: boolean;
}

/** Source of workloads that are pods. */
export class PodWorkloads implements WorkloadSource, Disposable {
  readonly #directory: PodDirectory;
  readonly #options: PodWorkloadsOptions;
  readonly #tree: PodCgroupTree;
  readonly #connection: RouteConnection;
  readonly #watch: RouteWatch;
  readonly #timer: NodeJS.Timeout;
  #settling: NodeJS.Timeout | null = null;
  readonly #unsubscribe: () => void;
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<WorkloadListener>();
  #snapshot: WorkloadSnapshot = { workloads: [], unresolved: [] };
  #fingerprint = "";
  #refreshed = 0;
  #settleUntil = 0;
  #factsChanged = false;
  #closed = false;

  /** @throws MountError without cgroup v2; KernelError where the kernel lets us not look */
  constructor(directory: PodDirectory, options: PodWorkloadsOptions) {
    this.#directory = directory;
    this.#options = options;
    this.#tree = new PodCgroupTree(options.hierarchies ?? cgroupHierarchies(), () => this.#settleSoon(0));
    this.#watch = new RouteWatch(null, ROUTE_GROUP.LINK);
    this.#connection = new RouteConnection();
    this.refresh();
    this.#unsubscribe = directory.subscribe(() => {
      this.#factsChanged = true;
    });
    this.#timer = setInterval(() => this.#poll(), options.pollInterval ?? POLL_INTERVAL);
  }

  snapshot(): WorkloadSnapshot {
    return this.#snapshot;
  }

  refresh(): WorkloadSnapshot {
    this.#refreshed = performance.now();
    this.#factsChanged = false;
    const pods = this.#tree.look();
    const node: NodeView = { connection: this.#connection, links: listLinks(this.#connection) };
    this.#forgetGone(pods);
    for (const cgroups of pods.values()) this.#look(cgroups, node);
    this.#publish();
    return this.#snapshot;
  }

  subscribe(listener: WorkloadListener): () => void {
    this.#listeners.add(listener);
    listener(this.#snapshot);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    if (this.#settling !== null) clearTimeout(this.#settling);
    this.#unsubscribe();
    this.#listeners.clear();
    for (const { watch } of this.#entries.values()) watch.close();
    this.#entries.clear();
    this.#tree.close();
    this.#connection.close();
    this.#watch.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #poll(): void {
    try {
      if (this.#stale()) this.refresh();
      else if (this.#isSettling()) this.#lookAgain();
      if (this.#isSettling()) this.#settleSoon(SETTLE_INTERVAL);
    } catch (error) {
      this.#options.onError(error);
    }
  }

  /** Polls soon, unless that is about to be done. */
  #settleSoon(delay: number): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = null;
      this.#poll();
    }, delay);
  }

  #isSettling(): boolean {
    return performance.now() < this.#settleUntil && [...this.#entries.values()].some(({ settled }) => !settled);
  }

  #stale(): boolean {
    const now = performance.now();
    // Each watch is asked, so that none of them keeps what it has to say for the next time.
    const watches = [...this.#entries.values()].map(({ watch }) => watch.changed());
    const heard = this.#watch.changed() || watches.includes(true) || this.#tree.stale;
    if (heard) this.#settleUntil = now + SETTLE_TIME;
    if (heard || this.#factsChanged) return true;
    return now - this.#refreshed >= (this.#options.refreshInterval ?? REFRESH_INTERVAL);
  }

  /** Looks at the pods that are being made, and at nothing else. */
  #lookAgain(): void {
    const node: NodeView = { connection: this.#connection, links: listLinks(this.#connection) };
    for (const cgroups of this.#tree.pods.values()) {
      if (this.#entries.get(cgroups.uid)?.settled !== true) this.#look(cgroups, node);
    }
    this.#publish();
  }

  #forgetGone(pods: ReadonlyMap<string, PodCgroups>): void {
    for (const [uid, { watch }] of this.#entries) {
      if (pods.has(uid)) continue;
      watch.close();
      this.#entries.delete(uid);
    }
  }

  #look(cgroups: PodCgroups, node: NodeView): void {
    const { uid } = cgroups;
    const entry = this.#entries.get(uid) ?? { watch: this.#watchOf(uid), state: notSeen(uid), settled: false };
    this.#entries.set(uid, entry);
    try {
      Object.assign(entry, entry.watch.look(cgroups, this.#directory.find(uid), node));
    } catch (error) {
      const problem = unreadable(uid, error);
      // Not to be able to look does not set free what is guarded.
      if (entry.state instanceof WorkloadError) entry.state = problem;
      else entry.state = { ...entry.state, problems: [problem] };
      entry.settled = false;
    }
  }

  #watchOf(uid: string): PodWatch {
    const onNews = () => {
      this.#factsChanged = true;
      if (!this.#closed) this.#settleSoon(0);
    };
    return new PodWatch({ uid, files: this.#options.files, onNews });
  }

  #publish(): void {
    const snapshot = takeSnapshot(this.#entries, this.#directory);
    const fingerprint = JSON.stringify(snapshot, comparable);
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    this.#snapshot = snapshot;
    for (const listener of [...this.#listeners]) listener(snapshot);
  }
}

function takeSnapshot(entries: ReadonlyMap<string, Entry>, directory: PodDirectory): WorkloadSnapshot {
  const workloads: Workload[] = [];
  const unresolved: UnresolvedWorkload[] = [];
  for (const [uid, { state }] of [...entries].sort(([left], [right]) => (left < right ? -1 : 1))) {
    if (state instanceof WorkloadError) unresolved.push({ ...named(uid, directory.find(uid)), problem: state });
    else workloads.push(state);
  }
  return { workloads, unresolved };
}

function named(uid: string, facts: PodFacts | null) {
  const { namespace, name, labels } = facts ?? { namespace: "", name: uid, labels: {} };
  return { namespace, name, labels, podUid: uid };
}

function notSeen(uid: string): WorkloadError {
  return new WorkloadError("PC_POD_STARTING", `pod ${uid} has not been looked at yet`);
}

function unreadable(uid: string, cause: unknown): WorkloadError {
  return new WorkloadError("PC_NETNS_UNREADABLE", `pod ${uid} cannot be looked at: ${causeText(cause)}`, { cause });
}

/** For comparison only: errors by what they say, big integers by their digits. */
function comparable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof WorkloadError ? `${value.code} ${value.message}` : value;
}
