/**
 * What every agent does, wherever its policies come from: the kernel kept in line with what is wanted for the
 * workloads of this node, events read, the gate looked after, and everything looked at again before long.
 */

import { join } from "node:path";
import ipaddr from "ipaddr.js";
import type { PortcullisError } from "../api/errors.ts";
import type { RuleTable } from "../policy/table/tables.ts";
import type { Logger } from "../telemetry/logger.ts";
import { steadyNow } from "../timing/steady-time.ts";
import { AgentReports } from "./agent-reports.ts";
import { ownNamespaceInum } from "./discovery/namespaces/bound-namespaces.ts";
import { type Workload, type WorkloadSource, workloadKey, workloadName } from "./discovery/workload.ts";
import { Gate } from "./enforce/attach/gate.ts";
import { objectFolder } from "./enforce/attach/programs.ts";
import { VethPairs } from "./enforce/attach/veth-pairs.ts";
import type { DesiredPolicy, DesiredWorkload, WorkloadOutcome } from "./enforce/desired.ts";
import { Enforcement, type EnforcementOptions } from "./enforce/enforcement.ts";
import { ContainerFiles, type FittedTable } from "./enforce/images/container-files.ts";
import { AgentDirectory } from "./events/directory.ts";
import { EventPipeline } from "./events/pipeline.ts";
import type { EventSink } from "./events/sinks.ts";
import type { ForeignFiles } from "./foreign-files/foreign-files.ts";
import { EVENTS_PIN } from "./kernel/typed-maps.ts";

/** Auto: Block where profiles enforced when the operator was last heard of, Allow elsewhere. Without an operator it is Allow. */
export const STARTUP_FAILURE_POLICIES = ["Auto", "Allow", "Block"] as const;
export type StartupFailurePolicy = (typeof STARTUP_FAILURE_POLICIES)[number];

export interface NodeGuardOptions extends EnforcementOptions {
  /** By whom files of workloads are looked at. */
  files: ForeignFiles;
  workloads: WorkloadSource;
  sink: EventSink;
  /** What becomes of a workload never seen before, if its policy is not known in time. */
  startupFailurePolicy: StartupFailurePolicy;
  /** Milliseconds that such a workload is blocked before that. */
  startupTimeout: number;
  /** Cgroup whose network namespaces are shut off until they are guarded, see gate.ts; none: nothing is. */
  gate?: string;
  log: Logger;
}

/** Everything is looked at again after this long, whether or not something seems to have changed. */
const RESYNC_MS = 30_000;
/** And this soon after something went wrong. */
const RETRY_MS = 2_000;
/** A little more than the enforcer's grace. */
const COLLECT_MS = 1_100;
/** About how long a pair that rtnetlink did not tell of goes unnoticed. */
const PAIRS_MS = 20;

export class NodeGuard {
  readonly enforcement: Enforcement;
  readonly reports: AgentReports;
  readonly #options: NodeGuardOptions;
  readonly #directory: AgentDirectory;
  readonly #pipeline: EventPipeline;
  readonly #gate: Gate;
  readonly #containerFiles: ContainerFiles;
  /** Null: the kernel shows no veth pairs by itself. */
  readonly #pairs: VethPairs | null;
  readonly #firstSeen = new Map<string, number>();
  readonly #reconcile: () => void;
  readonly #stop: () => void;
  #timer: NodeJS.Timeout | null = null;
  #pairTimer: NodeJS.Timeout | null = null;
  #collector: NodeJS.Timeout | null = null;
  #closed = false;

  /**
   * Loads, attaches, takes over what an earlier agent left, and shuts the gate. Nothing is put in force yet.
   * @param reconcile called when it is time to bring everything in line; not before the constructor has returned
   * @throws LoadError, KernelError, MountError, ObjectsMissingError, UsageError
   */
  constructor(options: NodeGuardOptions, reconcile: () => void) {
    this.#options = options;
    this.#reconcile = reconcile;
    this.enforcement = new Enforcement(options);
    const { enforcer, maps, paths, store } = this.enforcement;
    this.#directory = new AgentDirectory({
      maps,
      paths,
      state: () => enforcer.state,
      findTable: (id) => store.find(id),
    });
    this.#pipeline = new EventPipeline({
      pin: `${options.pinRoot}/${EVENTS_PIN}`,
      maps,
      directory: this.#directory,
      sink: options.sink,
      nameHashMultiplier: enforcer.state.nameHashMultiplier,
      eventInterval: options.settings.eventInterval,
      log: options.log,
    });
    this.reports = new AgentReports(options.sink);
    this.#gate = new Gate(maps, options.log);
    this.#containerFiles = new ContainerFiles({
      files: options.files,
      processesOf: (cgroupId) => this.enforcement.processesOf(cgroupId),
      onLooked: () => this.attempt("bring the kernel in line", reconcile),
      onError: (workload, cause) =>
        options.log.warn({ workload: workloadName(workload), err: cause }, "cannot follow its listed links"),
    });
    this.#stop = options.files.subscribe(() => this.attempt("bring the kernel in line", reconcile));
    this.#pairs = this.enforcement.programs.hookSets.devices === null ? null : new VethPairs(maps, ownNamespaceInum());
    if (this.#pairs !== null) this.#pairTimer = setInterval(() => this.#lookAtPairs(), PAIRS_MS);
    this.#reportMissing();
    this.#setGate();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Delivers what events there are now. */
  drainEvents(): void {
    this.#pipeline.drain();
  }

  /** Stops looking after things. What is in force stays in force. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop();
    for (const timer of [this.#timer, this.#collector, this.#pairTimer]) if (timer !== null) clearTimeout(timer);
    this.#pipeline.close();
    this.enforcement.close();
  }

  /** Work that a timer or a source asks for. What is in force stays so if it fails; the next look tries again. */
  attempt(what: string, action: () => void): void {
    if (this.#closed) return;
    try {
      action();
    } catch (cause) {
      this.#options.log.error({ err: cause }, `cannot ${what}; trying again`);
      this.#schedule(RETRY_MS);
    }
  }

  /**
   * The table with what listed paths lead to in the workload's containers; null while that is looked up.
   * @throws CompileError where the image's links bring more together than fits
   */
  fit(table: RuleTable, workload: Workload): FittedTable | null {
    return this.#containerFiles.fit(table, workload, this.enforcement.enforcer.filesOf(workload));
  }

  /** Workloads whose files cannot be looked at, and why. */
  fileProblems(): { workload: Workload; problem: PortcullisError }[] {
    return this.#options.workloads.snapshot().workloads.flatMap((workload) => {
      const problem = this.#fileProblem(workload);
      return problem === null ? [] : [{ workload, problem }];
    });
  }

  /** Brings the kernel in line with what is wanted. */
  apply(desired: readonly DesiredWorkload[]): WorkloadOutcome[] {
    const snapshot = this.#options.workloads.snapshot();
    const unseen = new Set(snapshot.unresolved.map(workloadKey));
    const outcomes = this.enforcement.enforcer.reconcile(
      desired.map((entry) => this.#withProblems(entry)),
      unseen,
    );
    this.#containerFiles.keep(snapshot.workloads);
    this.#admit(outcomes);
    this.#directory.update();
    this.reports.workloads(outcomes, snapshot.unresolved);
    this.reports.problems(
      snapshot.workloads.flatMap(({ problems }) => problems),
      this.#options.log,
    );
    const settled = this.#comparePairs(snapshot.workloads);
    this.#schedule(settled && outcomes.every(({ error }) => error === null) ? RESYNC_MS : RETRY_MS);
    this.#collectLater();
    return outcomes;
  }

  /**
   * What holds for a workload whose policy is not known: what is in force stays; one never seen before waits, for a while.
   * @param overrides the timeout that is left to wait, and what comes after it, where they are other than the options say
   */
  policyUnknown(
    workload: Workload,
    { after, policy }: { after?: () => DesiredPolicy | null; policy?: StartupFailurePolicy } = {},
  ): DesiredPolicy {
    const { startupTimeout, startupFailurePolicy, log } = this.#options;
    if (this.enforcement.enforcer.isKnown(workload)) return { kind: "unchanged" };
    const key = `${workloadKey(workload)}@${workload.netnsInum}`;
    const since = this.#firstSeen.get(key);
    if (since === undefined) {
      this.#firstSeen.set(key, steadyNow());
      setTimeout(() => this.#reconcile(), startupTimeout + 1).unref();
    }
    if ((since ?? steadyNow()) + startupTimeout > steadyNow()) return { kind: "pending" };
    const last = after?.() ?? null;
    if (last !== null) return last;
    if ((policy ?? startupFailurePolicy) === "Block") return { kind: "pending" };
    log.warn(
      { workload: workloadName(workload) },
      "its policy could not be known in time: the workload is let through, unjudged",
    );
    return { kind: "unrestricted" };
  }

  /** Forgets since when workloads that are no more have waited. */
  forgetWaiting(workloads: readonly Workload[]): void {
    const live = new Set(workloads.map((workload) => `${workloadKey(workload)}@${workload.netnsInum}`));
    for (const key of this.#firstSeen.keys()) if (!live.has(key)) this.#firstSeen.delete(key);
  }

  /** What stands in the state file, for `status`, beside what the source of workloads has found. */
  #withProblems(entry: DesiredWorkload): DesiredWorkload {
    const problem = this.#fileProblem(entry.workload);
    if (problem === null) return entry;
    return { ...entry, workload: { ...entry.workload, problems: [...entry.workload.problems, problem] } };
  }

  #fileProblem(workload: Workload): PortcullisError | null {
    return this.#options.files.problemOf(workloadKey(workload)) ?? this.#containerFiles.problemOf(workload);
  }

  #schedule(delay: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.attempt("make room among the paths", () => this.#collectPaths());
      this.attempt("count the registered sockets", () => this.enforcement.recountSockets());
      this.enforcement.programs.checkAgain();
      this.attempt("look after the gate", () => this.#gate.forgetDead());
      this.#reconcile();
    }, delay);
  }

  /** Who was in care of an earlier agent still is; everybody else waits for the first reconcile. */
  #setGate(): void {
    const { gate, pinRoot, startupTimeout: timeout, startupFailurePolicy, log } = this.#options;
    if (gate === undefined) {
      if (this.#gate.remove(pinRoot)) log.info("the gate that an earlier agent had shut is taken away (no --gate)");
      return;
    }
    // An earlier agent without a gate has let nobody through, because it did not have to.
    if (!this.#gate.isShut) this.#gate.admit(this.enforcement.enforcer.state.workloads);
    const object = join(this.#options.objects ?? objectFolder(), "gate.bpf.o");
    this.#gate.shut(pinRoot, object, { cgroup: gate, timeout, opensAfterTimeout: startupFailurePolicy === "Allow" });
  }

  /**
   * Whoever has no address yet waits: a neighbour request from one that is not known would be dropped as forged, and
   * not be repeated for a second.
   */
  #admit(outcomes: readonly WorkloadOutcome[]): void {
    if (this.#options.gate === undefined) return;
    const unguarded = new Set(outcomes.filter(({ state }) => state === "failed").map(({ id }) => id));
    const { workloads } = this.enforcement.enforcer.state;
    this.#gate.admit(workloads.filter(({ id, addresses }) => !unguarded.has(id) && !addresses.every(isLinkLocal)));
    this.#gate.reportLetThrough();
  }

  /** The kernel has seen a pair: rtnetlink, which may lose messages, is asked what it is. */
  #lookAtPairs(): void {
    if (this.#pairs?.changed() === true) this.attempt("look at the workloads", () => this.#options.workloads.refresh());
  }

  /** False if the two sources of veth pairs do not say the same yet. */
  #comparePairs(workloads: readonly Workload[]): boolean {
    if (this.#pairs === null) return true;
    const { disagreements, settled } = this.#pairs.compare(workloads);
    for (const text of disagreements) {
      this.#options.log.warn(
        { count: this.#pairs.disagreements },
        `${text}. What rtnetlink says is guarded; please report this with the output of \`portcullis doctor\``,
      );
    }
    return settled;
  }

  #collectPaths(): void {
    const removed = this.enforcement.collectPaths();
    if (removed > 0) this.#options.log.debug({ removed }, "removed paths that nothing refers to");
  }

  #collectLater(): void {
    if (this.#collector !== null) clearTimeout(this.#collector);
    this.#collector = setTimeout(() => {
      this.#collector = null;
      this.attempt("remove what was replaced", () => {
        if (this.enforcement.enforcer.collect()) this.#collectLater();
      });
    }, COLLECT_MS);
  }

  #reportMissing(): void {
    for (const { program, consequence } of this.enforcement.programs.missing) {
      this.#options.log.warn({ program }, `this kernel has no place for ${program}: ${consequence}`);
    }
  }
}

/** Given by the kernel, before anybody configures anything. */
function isLinkLocal(address: string): boolean {
  return ipaddr.parse(address).range() === "linkLocal";
}
