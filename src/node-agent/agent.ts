/**
 * The agent of one node: profiles from a source, workloads from another, and the kernel kept in line with both. It can be
 * stopped, killed and started again at any time; what is in force does not depend on it.
 */
import { join } from "node:path";
import ipaddr from "ipaddr.js";
import type { SecurityProfile } from "../api/types.ts";
import { describeDiff, diffTables } from "../policy/diff.ts";
import type { Logger } from "../telemetry/logger.ts";
import { AgentReports } from "./agent-reports.ts";
import { type DesiredState, desiredState } from "./desired-state.ts";
import type { DesiredPolicy, WorkloadOutcome } from "./enforce/desired.ts";
import { Enforcement, type EnforcementOptions } from "./enforce/enforcement.ts";
import { Gate } from "./enforce/gate.ts";
import { objectFolder } from "./enforce/programs.ts";
import { AgentDirectory } from "./events/directory.ts";
import type { RevisionError } from "./events/event.ts";
import { EventPipeline } from "./events/pipeline.ts";
import type { EventSink } from "./events/sinks.ts";
import { EVENTS_PIN } from "./kernel/typed-maps.ts";
import type { ProfileRevision, ProfileSource } from "./profiles/source.ts";
import { type Workload, type WorkloadSource, workloadKey } from "./workload/workload.ts";

export const STARTUP_FAILURE_POLICIES = ["Allow", "Block"] as const;
export type StartupFailurePolicy = (typeof STARTUP_FAILURE_POLICIES)[number];

export interface AgentOptions extends EnforcementOptions {
  profiles: ProfileSource;
  workloads: WorkloadSource;
  sink: EventSink;
  /** What becomes of a workload never seen before, if there are no profiles that can be read. */
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

export class Agent {
  readonly enforcement: Enforcement;
  readonly #options: AgentOptions;
  readonly #directory: AgentDirectory;
  readonly #pipeline: EventPipeline;
  readonly #reports: AgentReports;
  readonly #gate: Gate;
  readonly #firstSeen = new Map<string, number>();
  readonly #stops: (() => void)[] = [];
  /** The last ones that were valid; null: never any. */
  #profiles: SecurityProfile[] | null = null;
  #timer: NodeJS.Timeout | null = null;
  #collector: NodeJS.Timeout | null = null;
  #closed = false;

  /**
   * Starts: when this returns, every workload that can be guarded is, and what its profiles say is in force or an event says why
   * not.
   * @throws LoadError, KernelError, MountError, ObjectsMissingError, UsageError
   */
  constructor(options: AgentOptions) {
    this.#options = options;
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
      onScript: (tgid) => this.enforcement.scripts.verify(tgid),
      nameHashMultiplier: enforcer.state.nameHashMultiplier,
      eventInterval: options.settings.eventInterval,
      log: options.log,
    });
    this.#reports = new AgentReports(options.sink);
    this.#gate = new Gate(maps, options.log);
    this.#reportMissing();
    this.#setGate();
    this.#takeRevision(options.profiles.current());
    this.#stops.push(
      options.profiles.subscribe((revision) =>
        this.#attempt("put the profiles in force", () => this.#takeRevision(revision)),
      ),
      options.workloads.subscribe(() => this.#reconcile()),
    );
  }

  /** Delivers what events there are now. */
  drainEvents(): void {
    this.#pipeline.drain();
  }

  /** Stops looking after things. What is in force stays in force. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stop of this.#stops) stop();
    for (const timer of [this.#timer, this.#collector]) if (timer !== null) clearTimeout(timer);
    this.#pipeline.close();
    this.enforcement.close();
  }

  /** Work that a timer or a source asks for. What is in force stays so if it fails; the next look tries again. */
  #attempt(what: string, action: () => void): void {
    if (this.#closed) return;
    try {
      action();
    } catch (cause) {
      this.#options.log.error({ err: cause }, `cannot ${what}; trying again`);
      this.#schedule(RETRY_MS);
    }
  }

  #takeRevision(revision: ProfileRevision): void {
    for (const { source, field, message } of revision.warnings) this.#options.log.warn({ source, field }, message);
    const errors = revision.errors.length > 0 ? revision.errors : this.#putInForce(revision.profiles);
    if (errors.length > 0) {
      this.#reports.revision(revision, errors, []);
      this.#reconcile();
      return;
    }
    this.#reports.ready(this.#options.workloads.snapshot());
  }

  /** Tries new profiles. Where they cannot be put in force, those before stay, for all workloads. */
  #putInForce(profiles: SecurityProfile[]): RevisionError[] {
    const desired = this.#desired(profiles);
    if (desired.errors.length > 0) return desired.errors;
    const outcomes = this.#apply(desired);
    const errors = outcomes.filter(({ refused }) => refused).flatMap(outcomeError);
    if (errors.length > 0) return errors;
    this.#profiles = profiles;
    const revision = this.#options.profiles.current();
    this.#reports.revision(revision, [], outcomes.flatMap(changesOf));
    return [];
  }

  /** Brings everything in line with the profiles in force. */
  #reconcile(): void {
    this.#attempt("bring the kernel in line", () => {
      const desired = this.#desired(this.#profiles);
      for (const { source, message } of desired.errors) this.#options.log.error({ workload: source }, message);
      this.#apply(desired);
      this.#reports.ready(this.#options.workloads.snapshot());
    });
  }

  #desired(profiles: SecurityProfile[] | null): DesiredState {
    const { workloads } = this.#options.workloads.snapshot();
    return desiredState(
      profiles,
      workloads,
      (workload) => this.enforcement.enforcer.filesOf(workload),
      (workload) => this.#withoutProfiles(workload),
    );
  }

  #apply(desired: DesiredState): WorkloadOutcome[] {
    const snapshot = this.#options.workloads.snapshot();
    const unseen = new Set(snapshot.unresolved.map(workloadKey));
    const outcomes = this.enforcement.enforcer.reconcile(desired.workloads, unseen);
    this.#admit(outcomes);
    this.#directory.update();
    if (outcomes.some(({ changed }) => changed)) this.enforcement.scripts.verifyAll();
    this.#reports.workloads(outcomes, snapshot.unresolved);
    for (const { problems } of snapshot.workloads) this.#reports.problems(problems, this.#options.log);
    this.#schedule(outcomes.some(({ error }) => error !== null) ? RETRY_MS : RESYNC_MS);
    this.#collectLater();
    return outcomes;
  }

  /** No profile could be read since the start: what is in force stays; a workload never seen before waits, for a while. */
  #withoutProfiles(workload: Workload): DesiredPolicy {
    const key = `${workloadKey(workload)}@${workload.netnsInum}`;
    const { startupTimeout, startupFailurePolicy, log } = this.#options;
    if (this.enforcement.enforcer.isKnown(workload)) return { kind: "unchanged" };
    const since = this.#firstSeen.get(key) ?? Date.now();
    this.#firstSeen.set(key, since);
    const left = since + startupTimeout - Date.now();
    if (left <= 0 && startupFailurePolicy === "Allow") {
      log.warn(
        { workload: workloadKey(workload) },
        "no profiles could be read in time: the workload is let through, unjudged",
      );
      return { kind: "unrestricted" };
    }
    if (left > 0) setTimeout(() => this.#reconcile(), left + 1).unref();
    return { kind: "pending" };
  }

  #schedule(delay: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#attempt("make room among the paths", () => this.#collectPaths());
      this.enforcement.programs.checkAgain();
      this.#attempt("look after the gate", () => this.#gate.forgetDead());
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

  #collectPaths(): void {
    const removed = this.enforcement.collectPaths();
    if (removed > 0) this.#options.log.debug({ removed }, "removed paths that nothing refers to");
  }

  #collectLater(): void {
    if (this.#collector !== null) clearTimeout(this.#collector);
    this.#collector = setTimeout(() => {
      this.#collector = null;
      this.#attempt("remove what was replaced", () => {
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

function outcomeError({ namespace, name, error }: WorkloadOutcome): RevisionError[] {
  return error === null ? [] : [{ source: `${namespace}/${name}`, field: "", message: error.message }];
}

function changesOf({ namespace, name, table, replaced, changed, state }: WorkloadOutcome) {
  const workload = `${namespace}/${name}`;
  // For a workload that is new, all of its table is; its own event says whose.
  if (!changed || (table !== null && replaced === null)) return [];
  if (table === null) return state === "unrestricted" ? [{ workload, changes: ["no profile selects it"] }] : [];
  return [{ workload, changes: describeDiff(diffTables(replaced, table)) }];
}
