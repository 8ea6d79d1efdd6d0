/** The controllers that keep the plan in line with the cluster: profiles, pods, policies. */
import { setTimeout as wait } from "node:timers/promises";
import { Controller, type ControllerMeter } from "../../kube/controller.ts";
import { splitKey } from "../../kube/resources.ts";
import { DEFAULT_BACKOFF, WorkQueue } from "../../kube/work-queue.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { DeletionGuard } from "../cluster/deletion-guard.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { Plan, type PlanOptions } from "./plan.ts";

export interface PlanLoopOptions extends PlanOptions {
  cluster: Cluster;
  /** A generation of a profile is seen for the first time. */
  onProfileSeen?: (profile: StoredProfile) => void;
  /** Holds profiles that disappear in numbers; null: none is held. */
  deletions: DeletionGuard | null;
  meter?: ControllerMeter;
}

/** Policies of one namespace that are being compiled at once: the next is there when one is done. */
const COMPILING = 2;
/** And of all: no namespace's edit waits until others' are compiled to be sent to where that is done, which namespaces take turns in. */
const COMPILING_IN_ALL = 32;
const IDLE_CHECK_MS = 5;

export class PlanLoop {
  readonly plan: Plan;
  /** Of profiles, pods and policies, in this order. */
  readonly controllers: readonly Controller[];
  readonly #options: PlanLoopOptions;
  #settled = false;

  constructor(options: PlanLoopOptions) {
    this.#options = options;
    const queues = { profiles: turnsOfNamespaces(), pods: turnsOfNamespaces(), policies: turnsOfNamespaces(COMPILING) };
    this.plan = new Plan(options, queues);
    const { planner } = this.plan;
    const { log, meter } = options;
    const common = { log, ...(meter ? { meter } : {}) };
    const profile = (key: string) => this.#reconcileProfile(key);
    const pod = (key: string) => planner.reconcilePod(key);
    const policy = (key: string) => planner.reconcilePolicy(key);
    this.controllers = [
      new Controller({ ...common, name: "profile", queue: queues.profiles, reconcile: profile }),
      new Controller({ ...common, name: "pod", queue: queues.pods, reconcile: pod }),
      new Controller({
        ...common,
        name: "policy",
        queue: queues.policies,
        reconcile: policy,
        workers: COMPILING_IN_ALL,
      }),
    ];
    this.#follow(queues);
  }

  /** Everything that was there at the start has been planned. Before that nothing may be said to nodes. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** Some change has not been worked out to its end. */
  get isPlanning(): boolean {
    return this.controllers.some(({ queue }) => !queue.isIdle);
  }

  /** Begins once the copies of the cluster are complete; settles when all of that is planned. */
  async start(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#options.cluster.whenSynced(), aborted(signal)]);
    // Profiles first: each pod is planned once then.
    for (const controller of this.controllers) {
      if (signal.aborted) return;
      controller.start();
      while (!controller.queue.isIdle && !signal.aborted) await wait(IDLE_CHECK_MS);
    }
    while (this.isPlanning && !signal.aborted) await wait(IDLE_CHECK_MS);
    this.#settled = !signal.aborted;
  }

  async stop(): Promise<void> {
    await Promise.all(this.controllers.map((controller) => controller.stop()));
  }

  #follow(queues: { profiles: WorkQueue; pods: WorkQueue }): void {
    const { cluster } = this.#options;
    const { pods, peers } = this.plan;
    cluster.profiles.subscribe((key) => queues.profiles.add(key));
    cluster.pods.subscribe((key, _, pod) => {
      pods.set(key, pod);
      peers.podChanged(key, pod);
      queues.pods.add(key);
    });
    cluster.namespaces.subscribe((name) => peers.namespaceChanged(name));
    cluster.services.subscribe((key) => peers.serviceChanged(key));
    cluster.slices.subscribe((key, before, after) => peers.sliceChanged(key, before, after));
  }

  async #reconcileProfile(key: string): Promise<void> {
    const { cluster, deletions, onProfileSeen } = this.#options;
    const { profiles, enforcing, planner } = this.plan;
    const isGone = () => cluster.profiles.get(key) === undefined && profiles.get(key) !== undefined;
    if (isGone() && (await deletions?.holds(key, profiles.sizes)) && isGone()) return;
    const profile = cluster.profiles.get(key) ?? null;
    if (profile === null) cluster.profiles.letGo(key);
    else deletions?.back(key);
    const change = profiles.set(key, profile);
    const { before, after } = change;
    enforcing.set(key, splitKey(key).namespace, after);
    const isNew =
      before?.uid !== after?.uid ||
      before?.generation !== after?.generation ||
      before?.overBudget !== after?.overBudget ||
      before?.errors.count !== after?.errors.count;
    if (isNew && after !== null) onProfileSeen?.(after);
    // Else only its status is another, which is the operator's own word.
    if (isNew || change.contentChanged || change.selectorChanged) planner.profileChanged(key, change);
  }
}

/** Namespaces take turns. @param atOnce of one namespace; as many as there are workers where absent */
function turnsOfNamespaces(atOnce?: number): WorkQueue {
  return new WorkQueue(DEFAULT_BACKOFF, (key) => splitKey(key).namespace, atOnce);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((settle) => {
    if (signal.aborted) settle();
    else signal.addEventListener("abort", () => settle(), { once: true });
  });
}
