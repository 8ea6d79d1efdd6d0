/**
 * What every agent does, wherever its policies come from: the kernel kept in line with what is wanted for the
 * workloads of this node, events read, and everything looked at again before long.
 */

import { join } from "node:path";
import type { EventSink } from "../../export/sink.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { ownNamespaceInum } from "../discovery/namespaces/bound-namespaces.ts";
import type { WorkloadSource } from "../discovery/workload.ts";
import { workloadKey } from "../discovery/workload.ts";
import { objectFolder } from "../enforce/attach/programs.ts";
import { VethPairs } from "../enforce/attach/veth-pairs.ts";
import type { DesiredWorkload, WorkloadOutcome } from "../enforce/desired.ts";
import { Enforcement, type EnforcementOptions } from "../enforce/enforcement.ts";
import { ReportedCounts } from "../enforce/state/reported-counts.ts";
import { REPORTED_LOSSES_FILE } from "../enforce/state/state.ts";
import { AgentDirectory } from "../events/directory.ts";
import { FlowReports } from "../events/flow-reports.ts";
import { type LearnedNames, learnedNames } from "../events/learned-names.ts";
import { EventPipeline } from "../events/pipeline.ts";
import type { ForeignFiles } from "../foreign-files/foreign-files.ts";
import { AgentReports } from "./agent-reports.ts";
import { GarbageTimer } from "./garbage-timer.ts";
import { GateAdmission } from "./gate-admission.ts";
import { PairWatch } from "./pair-watch.ts";
import { ReconcileTimer } from "./reconcile-timer.ts";
import { StartupWait, type StartupWaitOptions } from "./startup-wait.ts";
import { WorkloadFiles } from "./workload-files.ts";

export interface NodeGuardOptions extends EnforcementOptions, StartupWaitOptions {
  /** By whom files of workloads are looked at. */
  files: ForeignFiles;
  workloads: WorkloadSource;
  sink: EventSink;
  /** Cgroup whose network namespaces are shut off until they are guarded, see gate.ts; none: nothing is. */
  gate?: string;
  log: Logger;
}

export class NodeGuard {
  readonly enforcement: Enforcement;
  readonly reports: AgentReports;
  readonly files: WorkloadFiles;
  readonly startup: StartupWait;
  readonly #options: NodeGuardOptions;
  readonly #timer: ReconcileTimer;
  readonly #directory: AgentDirectory;
  readonly #pipeline: EventPipeline;
  /** Null: flows are not counted. */
  readonly #flows: FlowReports | null;
  readonly #gate: GateAdmission;
  readonly #garbage: GarbageTimer;
  /** Null: the kernel shows no veth pairs by itself. */
  readonly #pairs: PairWatch | null;

  /**
   * Loads, attaches, takes over what an earlier agent left, and shuts the gate. Nothing is put in force yet.
   * @param reconcile called when it is time to bring everything in line; not before the constructor has returned
   * @throws LoadError, KernelError, MountError, ObjectsMissingError, UsageError
   */
  constructor(options: NodeGuardOptions, reconcile: () => void) {
    this.#options = options;
    const { sink, workloads, log } = options;
    this.enforcement = new Enforcement(options);
    const { enforcer, maps, paths, containerIds, store, programs, nameHashMultiplier } = this.enforcement;
    this.#timer = new ReconcileTimer(() => this.#resync(reconcile), log);
    const findTable = (id: number) => store.find(id);
    this.#directory = new AgentDirectory({ maps, paths, containerIds, inForce: enforcer, findTable });
    this.#pipeline = new EventPipeline({
      pinRoot: options.pinRoot,
      maps,
      directory: this.#directory,
      sink,
      reported: new ReportedCounts(join(options.stateDirectory, REPORTED_LOSSES_FILE), log),
      nameHashMultiplier,
      eventInterval: options.settings.eventInterval,
      log,
    });
    this.#flows = options.settings.countFlows ? this.#makeFlowReports() : null;
    this.reports = new AgentReports(sink);
    const onLooked = () => this.attempt("bring the kernel in line", reconcile);
    this.files = new WorkloadFiles({ files: options.files, enforcement: this.enforcement, onLooked, log });
    this.startup = new StartupWait(options, {
      isKnown: (workload) => enforcer.isKnown(workload),
      onTimeout: reconcile,
    });
    this.#garbage = new GarbageTimer(this.enforcement, this.#timer, log);
    const hasPairs = programs.hookSets.devices !== null;
    this.#pairs = hasPairs ? new PairWatch(new VethPairs(maps, ownNamespaceInum()), workloads, this.#timer, log) : null;
    for (const { program, consequence } of programs.missing) {
      log.warn({ program }, `this kernel has no place for ${program}: ${consequence}`);
    }
    this.#gate = this.#makeGate();
  }

  get closed(): boolean {
    return this.#timer.closed;
  }

  /** Names that addresses were learned under so far. */
  learnedNames(): LearnedNames[] {
    return learnedNames(this.enforcement.maps, this.#directory);
  }

  /** Delivers what events there are now, and what was held back. */
  drainEvents(): void {
    this.#pipeline.drain();
  }

  /** Stops looking after things. What is in force stays in force. */
  close(): void {
    if (this.closed) return;
    for (const part of [this.#timer, this.files, this.#garbage, this.#pairs, this.#pipeline, this.#flows])
      part?.close();
    this.enforcement.close();
  }

  /** Work that a timer or a source asks for. What is in force stays so if it fails; the next look tries again. */
  attempt(what: string, action: () => void): void {
    this.#timer.attempt(what, action);
  }

  /** Brings the kernel in line with what is wanted. */
  apply(desired: readonly DesiredWorkload[]): WorkloadOutcome[] {
    const { workloads, unresolved } = this.#options.workloads.snapshot();
    const outcomes = this.enforcement.enforcer.reconcile(
      desired.map((entry) => this.#withProblem(entry)),
      new Set(unresolved.map(workloadKey)),
    );
    this.files.keep(workloads);
    this.#gate.admit(outcomes);
    this.#directory.update();
    this.reports.workloads(outcomes, unresolved);
    this.reports.problems(
      workloads.flatMap(({ problems }) => problems),
      this.#options.log,
    );
    const settled = this.#pairs?.compare(workloads) ?? true;
    this.#timer.schedule(settled && outcomes.every(({ error }) => error === null));
    this.#garbage.collectLater();
    return outcomes;
  }

  /** What stands in the state file, for `status`, beside what the source of workloads has found. */
  #withProblem(entry: DesiredWorkload): DesiredWorkload {
    const problem = this.files.problemOf(entry.workload);
    if (problem === null) return entry;
    return { ...entry, workload: { ...entry.workload, problems: [...entry.workload.problems, problem] } };
  }

  #resync(reconcile: () => void): void {
    this.#garbage.makeRoom();
    this.enforcement.programs.checkAgain();
    this.attempt("look after the gate", () => this.#gate.forgetDead());
    reconcile();
  }

  #makeFlowReports(): FlowReports {
    const { pinRoot, sink, settings, log } = this.#options;
    const { flows } = this.enforcement.maps;
    const reports = new FlowReports({ pinRoot, flows, directory: this.#directory, sink, idle: settings.udpIdle, log });
    this.enforcement.onForget = (live) => reports.endOthers(live);
    return reports;
  }

  #makeGate(): GateAdmission {
    const { gate: cgroup, objects, pinRoot, startupTimeout: timeout, startupFailurePolicy, log } = this.#options;
    const opensAfterTimeout = startupFailurePolicy === "Allow";
    return new GateAdmission({
      maps: this.enforcement.maps,
      pinRoot,
      objectPath: join(objects ?? objectFolder(), "gate.bpf.o"),
      inForce: this.enforcement.enforcer,
      gate: cgroup === undefined ? null : { cgroup, timeout, opensAfterTimeout },
      log,
    });
  }
}
