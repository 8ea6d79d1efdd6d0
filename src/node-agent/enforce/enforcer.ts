/**
 * The one reconcile: what is wanted for every workload against what is in the kernel. Safe to call at any time with
 * the whole truth; what is as it should be is not touched.
 */

import { causeCode, causeText } from "../../api/errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import { type Workload, workloadKey } from "../discovery/workload.ts";
import type { DesiredWorkload, WorkloadOutcome } from "./desired.ts";
import type { AgentState, TableState, WorkloadState } from "./state/state.ts";
import { goneOutcome, isKept, nextState, outcomeOf, type Step, tableIdOf } from "./steps.ts";
import type { Instances } from "./tables/instances.ts";
import type { RuleStore } from "./tables/rule-store.ts";
import type { WorkloadFacts } from "./tables/workload-facts.ts";
import { type PolicyInForce, workloadValue } from "./tables/workload-value.ts";

/** The programs on interfaces. Attaching what is attached, and detaching what is not, is nothing. */
export interface Attachments {
  attach(ifindex: number, ifname: string): void;
  /** Also right for an interface that is gone: then only what the file system remembers of it is removed. */
  detach(ifindex: number): void;
}

export interface EnforcerParts {
  store: RuleStore;
  instances: Instances;
  facts: WorkloadFacts;
  attachments: Attachments;
  /** Whether there is (still) an interface of this number. */
  interfaceExists(ifindex: number): boolean;
  /** Whether the first packet of each of its allowed flows is reported. */
  reportsAllowed(workload: Workload): boolean;
  /** Forgets what the kernel has learned and counted for workloads that are not among these. */
  forget(live: ReadonlySet<number>): void;
  save(state: AgentState): void;
  log: Logger;
}

/** Packets on their way see the end of what they began to look at. They take microseconds. */
const GRACE_MS = 1000;

export class Enforcer {
  readonly #parts: EnforcerParts;
  #state: AgentState;
  /** What earlier agents left may be looked for: everything in force is known. */
  #orphansFrom: number | null = null;
  #orphansCollected = false;
  /** What is known of workloads that went while no agent was there has been removed. */
  #forgotten = false;

  constructor(parts: EnforcerParts, state: AgentState) {
    this.#parts = parts;
    this.#state = state;
    for (const workload of state.workloads) if (workload.tableId !== null) parts.store.holdAdopted(workload.tableId);
  }

  /** Workloads as the last reconcile left them, or as an earlier agent did. */
  get workloads(): readonly WorkloadState[] {
    return this.#state.workloads;
  }

  /** Tables in force, as they were last saved. */
  get tables(): readonly TableState[] {
    return this.#state.tables;
  }

  /**
   * Brings everything in line. Never throws for one workload's sake: its outcome has the error, and the others go on.
   * But tables come into force together: if one cannot be written, whoever has one in force keeps that.
   * @param unseen keys of workloads that are wanted and cannot be looked at: what guards them stays
   */
  reconcile(
    desired: readonly DesiredWorkload[],
    unseen: ReadonlySet<string> = new Set(),
    now = new Date(),
  ): WorkloadOutcome[] {
    const steps = desired.map((entry) => this.#begin(entry, now));
    // New workloads are shut, and attached, before anything that takes longer is done.
    for (const step of steps) this.#guard(step);
    for (const step of steps) this.#writeTable(step);
    if (steps.some((step) => step.refused)) for (const step of steps) this.#keepBefore(step);
    for (const step of steps) this.#publish(step, now);
    const seen = new Set(steps.map(({ state }) => state.id));
    const others = Map.groupBy(
      this.#state.workloads.filter(({ id }) => !seen.has(id)),
      (state) => (this.#staysUnseen(state, unseen) ? "stays" : "goes"),
    );
    const gone = this.#release(others.get("goes") ?? []);
    this.#state.workloads = [...steps.map(({ state }) => state), ...(others.get("stays") ?? [])];
    this.#save();
    this.#clean(steps, gone.length > 0);
    if (steps.every((step) => !isKept(step))) this.#orphansFrom ??= steadyNow();
    return [...steps.map((step) => outcomeOf(step, this.#parts.store)), ...gone];
  }

  /** Whether a policy for this workload is in force already. */
  isKnown(workload: Workload): boolean {
    const before = this.#find(workload);
    return before === null ? this.#recoverId(workload) !== null : !before.pending;
  }

  /** The files that its listed paths resolved to when it was bound. */
  filesOf(workload: Workload): Record<string, string> {
    return this.#find(workload)?.files ?? {};
  }

  /** Removes what was replaced, once nothing can be looking at it. True if there is more to come. */
  collect(now = steadyNow()): boolean {
    const { store, instances, log } = this.#parts;
    const waiting = store.collect(GRACE_MS, now) + instances.collect(GRACE_MS, now);
    if (!this.#orphansCollected && this.#orphansFrom !== null && now - this.#orphansFrom >= GRACE_MS) {
      this.#orphansCollected = true;
      const removed = store.collectOrphans();
      if (removed > 0) log.warn({ removed }, "removed rules that an earlier agent left behind");
    }
    if (waiting === 0) this.#save();
    return waiting > 0 || (this.#orphansFrom !== null && !this.#orphansCollected);
  }

  #begin(desired: DesiredWorkload, now: Date): Step {
    const { workload } = desired;
    const before = this.#find(workload);
    const recovered = before === null ? this.#recoverId(workload) : null;
    const id = before?.id ?? recovered ?? this.#state.nextWorkloadId++;
    const state = nextState(id, desired, before, now);
    const progress = { held: false, refused: false, guarded: false, published: false, error: null };
    return { desired, state, before, policy: this.#inForce(before), recovered: recovered !== null, ...progress };
  }

  /** The number that the kernel has for it, where the state file is lost: what it has learned stays good. */
  #recoverId(workload: Workload): number | null {
    const inForce = workload.interfaces.map(({ hostIfindex }) => this.#parts.instances.current(hostIfindex));
    return inForce.find((value) => value?.netnsInum === workload.netnsInum)?.id ?? null;
  }

  /** The same name and namespace inode, with an interface in common: numbers of inodes are used again, those are not. */
  #find(workload: Workload): WorkloadState | null {
    const key = workloadKey(workload);
    const links = new Set(workload.interfaces.map(({ hostIfindex }) => hostIfindex));
    const known = this.#state.workloads.find(
      (state) =>
        state.key === key &&
        state.netnsInum === workload.netnsInum &&
        state.interfaces.some(({ ifindex }) => links.has(ifindex)),
    );
    return known ?? null;
  }

  #inForce(before: WorkloadState | null): PolicyInForce {
    if (before === null || before.pending) return "pending";
    if (before.tableId === null) return "unrestricted";
    return this.#parts.store.find(before.tableId) ?? "pending";
  }

  #guard(step: Step): void {
    const { instances, attachments, facts } = this.#parts;
    this.#attempt(step, () => {
      facts.write(step.state.id, step.desired.workload, step.before?.addresses ?? []);
      for (const link of step.desired.workload.interfaces) {
        // What is in force stays in force until there is something better; what has nothing is shut.
        if (instances.current(link.hostIfindex)?.id !== step.state.id) this.#publishLink(step, link, step.policy);
        attachments.attach(link.hostIfindex, link.hostIfname);
      }
      step.guarded = true;
    });
  }

  #writeTable(step: Step): void {
    const { policy } = step.desired;
    if (policy.kind === "unchanged") return;
    if (policy.kind === "pending" || policy.kind === "unrestricted") {
      step.policy = policy.kind;
      return;
    }
    step.refused = !this.#attempt(step, () => {
      step.policy = this.#parts.store.hold(policy.table);
      step.held = true;
    });
  }

  #keepBefore(step: Step): void {
    if (step.before === null || step.before.pending) return;
    const tableId = tableIdOf(step.policy);
    if (step.held && tableId !== null) this.#parts.store.release(tableId);
    step.held = false;
    step.policy = this.#inForce(step.before);
  }

  /** Its name is gone, or it cannot be looked at for now; what is inside may live on. */
  #staysUnseen(state: WorkloadState, unseen: ReadonlySet<string>): boolean {
    const { interfaceExists, instances } = this.#parts;
    const guarded = ({ ifindex }: { ifindex: number }) =>
      interfaceExists(ifindex) && instances.current(ifindex)?.id === state.id;
    return unseen.has(state.key) && state.interfaces.some(guarded);
  }

  #publish(step: Step, now: Date): void {
    const { state, before } = step;
    const published = isKept(step) || this.#attempt(step, () => this.#publishAll(step));
    const heldBefore = before?.tableId ?? null;
    const tableId = tableIdOf(step.policy);
    // Where publishing failed half-way, both tables may be in force somewhere: both stay.
    if (published && heldBefore !== null && (step.held || tableId !== heldBefore))
      this.#parts.store.release(heldBefore);
    const pending = step.policy === "pending";
    if (before === null || tableId !== heldBefore || pending !== before.pending) state.since = now.toISOString();
    state.tableId = tableId;
    state.pending = pending;
    state.error = step.error;
  }

  #publishAll(step: Step): void {
    const { interfaces } = step.desired.workload;
    for (const link of interfaces) this.#publishLink(step, link, step.policy);
    const first = interfaces[0];
    if (first !== undefined) this.#parts.instances.publishNamespace(step.state.netnsInum, first.hostIfindex);
  }

  #publishLink(step: Step, link: Workload["interfaces"][number], policy: PolicyInForce): void {
    const { workload } = step.desired;
    const value = workloadValue(step.state.id, workload, link, policy, this.#parts.reportsAllowed(workload));
    if (this.#parts.instances.publish(value)) step.published = true;
  }

  /** Takes the programs off interfaces that are nobody's any more. */
  #release(gone: WorkloadState[]): WorkloadOutcome[] {
    for (const { tableId } of gone) if (tableId !== null) this.#parts.store.release(tableId);
    return gone.map((state) => goneOutcome(state, this.#parts.store));
  }

  #save(): void {
    const { store, save } = this.#parts;
    this.#state = { ...this.#state, tables: store.states(), nextTableId: store.nextTableId };
    save(this.#state);
  }

  #clean(steps: Step[], someGone: boolean): void {
    const { instances, attachments, facts, forget } = this.#parts;
    const { workloads } = this.#state;
    const links = new Set(workloads.flatMap(({ interfaces }) => interfaces.map(({ ifindex }) => ifindex)));
    for (const ifindex of instances.interfaces()) {
      if (links.has(ifindex)) continue;
      // Every interface with our programs has an instance, which goes last: what is left half-way is found again.
      attachments.detach(ifindex);
      instances.withdraw(ifindex);
    }
    instances.keepNamespaces(new Set(workloads.map(({ netnsInum }) => netnsInum)));
    facts.writeContainers(steps.map(({ desired }) => desired.workload));
    const live = new Set(workloads.map(({ id }) => id));
    facts.keepWorkloads(live);
    if (someGone || !this.#forgotten) forget(live);
    this.#forgotten = true;
  }

  #attempt(step: Step, action: () => void): boolean {
    try {
      action();
      return true;
    } catch (cause) {
      step.error ??= { code: causeCode(cause) ?? "PC_UNEXPECTED", message: causeText(cause) };
      this.#parts.log.error({ workload: step.state.key, err: cause }, "cannot put the policy in force");
      return false;
    }
  }
}
