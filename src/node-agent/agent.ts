/**
 * The agent of one machine: profiles from a source, workloads from another, and the kernel kept in line with both. It can be
 * stopped, killed and started again at any time; what is in force does not depend on it.
 */

import type { SecurityProfile } from "../api/types.ts";
import type { RevisionError } from "../flow/record.ts";
import { describeDiff, diffTables } from "../policy/explain/diff.ts";
import { type DesiredState, desiredState } from "./desired-state.ts";
import type { WorkloadOutcome } from "./enforce/desired.ts";
import type { WorkloadState } from "./enforce/state/state.ts";
import { readCounters, type TrafficCount } from "./enforce/tables/counters.ts";
import { fullShares, RECORD_SHARE_NAMES } from "./enforce/tables/shares.ts";
import type { LearnedNames } from "./events/learned-names.ts";
import { trimMemory } from "./ffi/libc.ts";
import { NodeGuard, type NodeGuardOptions } from "./guard/node-guard.ts";
import type { ProfileRevision, ProfileSource } from "./profiles/source.ts";

export interface AgentOptions extends NodeGuardOptions {
  profiles: ProfileSource;
}

export class Agent {
  readonly #options: AgentOptions;
  readonly #guard: NodeGuard;
  readonly #stops: (() => void)[] = [];
  /** The last ones that were valid; null: never any. */
  #profiles: SecurityProfile[] | null = null;

  /**
   * Starts: when this returns, every workload that can be guarded is, and what its profiles say is in force or an event says why
   * not.
   * @throws LoadError, KernelError, MountError, ObjectsMissingError, UsageError
   */
  constructor(options: AgentOptions) {
    this.#options = options;
    this.#guard = new NodeGuard(options, () => this.#reconcile());
    this.#takeRevision(options.profiles.current());
    this.#stops.push(
      options.profiles.subscribe((revision) =>
        this.#guard.attempt("put the profiles in force", () => this.#takeRevision(revision)),
      ),
      options.workloads.subscribe(() => this.#reconcile()),
    );
    // Loading the programs took some megabytes that nothing needs any more.
    trimMemory();
  }

  /** The workloads, and what is in force for them. */
  get workloads(): readonly WorkloadState[] {
    return this.#guard.enforcement.enforcer.workloads;
  }

  /** What their processes have sent and received so far. */
  traffic(): TrafficCount[] {
    const { maps, paths } = this.#guard.enforcement;
    return readCounters(maps.counters, (id) => paths.text(id));
  }

  /** Violations, allowed flows and DNS messages that no event tells of, because there were too many in a second. */
  unreported(): number {
    const full = [...fullShares(this.#guard.enforcement.maps.shares).values()].flat();
    const records = full.filter(({ name }) => RECORD_SHARE_NAMES.includes(name));
    return records.reduce((sum, { lost }) => sum + lost, 0);
  }

  /** Names that addresses were learned under so far. */
  learnedNames(): LearnedNames[] {
    return this.#guard.learnedNames();
  }

  /** Delivers what events there are now, and what was held back. */
  drainEvents(): void {
    this.#guard.drainEvents();
  }

  /** Stops looking after things. What is in force stays in force. */
  close(): void {
    if (this.#guard.closed) return;
    for (const stop of this.#stops) stop();
    this.#guard.close();
  }

  #takeRevision(revision: ProfileRevision): void {
    for (const { source, field, message } of revision.warnings) this.#options.log.warn({ source, field }, message);
    const errors = revision.errors.length > 0 ? revision.errors : this.#putInForce(revision.profiles);
    if (errors.length > 0) {
      this.#guard.reports.revision(revision, errors, []);
      this.#reconcile();
      return;
    }
    this.#guard.reports.ready(this.#options.workloads.snapshot());
  }

  /** Tries new profiles. Where they cannot be put in force, those before stay, for all workloads. */
  #putInForce(profiles: SecurityProfile[]): RevisionError[] {
    const desired = this.#desired(profiles);
    if (desired.errors.length > 0) return desired.errors;
    const outcomes = this.#guard.apply(desired.workloads);
    const errors = outcomes.filter(({ refused }) => refused).flatMap(outcomeError);
    if (errors.length > 0) return errors;
    this.#profiles = profiles;
    const revision = this.#options.profiles.current();
    this.#guard.reports.revision(revision, [], outcomes.flatMap(changesOf));
    return [];
  }

  /** Brings everything in line with the profiles in force. */
  #reconcile(): void {
    this.#guard.attempt("bring the kernel in line", () => {
      const desired = this.#desired(this.#profiles);
      for (const { source, message } of desired.errors) this.#options.log.error({ workload: source }, message);
      this.#guard.apply(desired.workloads);
      this.#guard.reports.ready(this.#options.workloads.snapshot());
    });
  }

  #desired(profiles: SecurityProfile[] | null): DesiredState {
    const { workloads } = this.#options.workloads.snapshot();
    return desiredState(
      profiles,
      workloads,
      (workload) => this.#guard.enforcement.enforcer.filesOf(workload),
      (table, workload) => this.#guard.files.fit(table, workload),
      (workload) => this.#guard.startup.policyOf(workload),
    );
  }
}

function outcomeError({ namespace, name, error }: WorkloadOutcome): RevisionError[] {
  return error === null ? [] : [{ source: `${namespace}/${name}`, field: "", message: error.message }];
}

function changesOf({ namespace, name, table, replaced, changed, state }: WorkloadOutcome) {
  const workload = `${namespace}/${name}`;
  // For a workload that is new, its whole table is new; its own event names the profiles.
  if (!changed || (table !== null && replaced === null)) return [];
  if (table === null) return state === "unrestricted" ? [{ workload, changes: ["no profile selects it"] }] : [];
  return [{ workload, changes: describeDiff(diffTables(replaced, table)) }];
}
