/** The controllers that keep the plan in line with the cluster: profiles, pods, policies. */
import { setTimeout as wait } from "node:timers/promises";
import { Controller, type ControllerObserver } from "../../kube/controller.ts";
import { splitKey } from "../../kube/resources.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { DeletionGuard } from "../cluster/deletion-guard.ts";
import { EnforcingNamespaces } from "../cluster/enforcing-namespaces.ts";
import { PeerIndex } from "../cluster/peer-index.ts";
import { PodIndex } from "../cluster/pod-index.ts";
import type { PodRecord } from "../cluster/pod-record.ts";
import { ProfileIndex } from "../cluster/profile-index.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { NodeStates } from "./node-states.ts";
import { Planner, type PodPlan } from "./planner.ts";
import { Policies } from "./policies.ts";
import { TableStore } from "./table-store.ts";

export interface PlanLoopOptions {
  cluster: Cluster;
  searchDomains: (pod: PodRecord) => string[];
  /** The profile, its pods, or what is wanted for them have changed. */
  onPlanChanged: (profile: string) => void;
  /** A generation of a profile is seen for the first time. */
  onProfileSeen: (profile: StoredProfile) => void;
  /** Holds profiles that disappear in numbers; null: none is held. */
  deletions: DeletionGuard | null;
  onCompiled?: (seconds: number, failed: boolean) => void;
  observer?: ControllerObserver;
  log: Logger;
}

/** Policies that are being compiled at once: the next is there when one is done, and none waits for long behind many. */
const COMPILING = 2;
/** Addresses that change within this many milliseconds make one new table. */
const PEERS_MS = 100;
const IDLE_CHECK_MS = 5;

export class PlanLoop {
  readonly profiles = new ProfileIndex();
  readonly pods = new PodIndex();
  readonly nodes = new NodeStates();
  readonly tables = new TableStore();
  readonly enforcing = new EnforcingNamespaces();
  readonly policies: Policies;
  readonly planner: Planner;
  readonly #options: PlanLoopOptions;
  readonly #peers: PeerIndex;
  readonly #profileController: Controller;
  readonly #podController: Controller;
  readonly #policyController: Controller;
  #settled = false;

  constructor(options: PlanLoopOptions) {
    this.#options = options;
    const { cluster } = options;
    this.#profileController = this.#controller("profile", (key) => this.#reconcileProfile(key));
    this.#podController = this.#controller("pod", (key) => this.planner.reconcilePod(key));
    this.#policyController = this.#controller("policy", (key) => this.planner.reconcilePolicy(key), COMPILING);
    this.#peers = new PeerIndex(
      {
        pods: this.pods,
        namespace: (name) => cluster.namespaces.get(name),
        service: (key) => cluster.services.get(key),
      },
      (set) => this.#peersChanged(set),
    );
    this.policies = new Policies({
      peers: this.#peers,
      tables: this.tables,
      profile: (key) => this.profiles.get(key),
      compile: (order) => cluster.profiles.compile(order),
      onForgotten: (key) => cluster.profiles.forget(key),
      ...(options.onCompiled ? { onCompiled: options.onCompiled } : {}),
    });
    this.planner = new Planner({
      pods: this.pods,
      profiles: this.profiles,
      policies: this.policies,
      tables: this.tables,
      nodes: this.nodes,
      searchDomains: options.searchDomains,
      enqueuePolicy: (key) => this.#policyController.enqueue(key),
      onPodFailed: (key, cause) => {
        options.log.error({ err: cause, pod: key }, "a pod could not be planned; trying again");
        this.#podController.enqueue(key);
      },
      onPlanChanged: options.onPlanChanged,
    });
    this.#follow(cluster);
  }

  /** Everything that was there at the start has been planned. Before that nothing may be said to nodes. */
  get isSettled(): boolean {
    return this.#settled;
  }

  /** Some change has not been worked out to its end. */
  get isPlanning(): boolean {
    return this.controllers.some(({ queue }) => !queue.isIdle);
  }

  get controllers(): readonly Controller[] {
    return [this.#profileController, this.#podController, this.#policyController];
  }

  /** Its node has told search lists: looks at the pod again if its policy was compiled with another one. */
  domainsReported({ key, policy }: PodPlan): void {
    const pod = this.pods.get(key);
    if (policy === null || pod === undefined) return;
    const domains = this.#options.searchDomains(pod);
    if (domains.join(" ") !== policy.searchDomains.join(" ")) this.#podController.enqueue(key);
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

  #controller(name: string, reconcile: (key: string) => void | Promise<void>, workers = 1): Controller {
    const { log, observer } = this.#options;
    // Namespaces take turns.
    const groupOf = (key: string) => splitKey(key).namespace;
    return new Controller({ name, reconcile, workers, groupOf, log, ...(observer ? { observer } : {}) });
  }

  #follow(cluster: Cluster): void {
    cluster.profiles.subscribe((key) => this.#profileController.enqueue(key));
    cluster.pods.subscribe((key, _, pod) => {
      this.pods.set(key, pod);
      this.#peers.podChanged(key, pod);
      this.#podController.enqueue(key);
    });
    cluster.namespaces.subscribe((name) => this.#peers.namespaceChanged(name));
    cluster.services.subscribe((key) => this.#peers.serviceChanged(key));
    cluster.slices.subscribe((key, before, after) => this.#peers.sliceChanged(key, before, after));
  }

  async #reconcileProfile(key: string): Promise<void> {
    const { cluster, deletions } = this.#options;
    const isGone = () => cluster.profiles.get(key) === undefined && this.profiles.get(key) !== undefined;
    if (isGone() && (await deletions?.holds(key, this.profiles.sizes)) && isGone()) return;
    const profile = cluster.profiles.get(key) ?? null;
    if (profile === null) cluster.profiles.letGo(key);
    else deletions?.back(key);
    const change = this.profiles.set(key, profile);
    const { before, after } = change;
    this.enforcing.set(key, splitKey(key).namespace, after);
    const isNew =
      before?.uid !== after?.uid ||
      before?.generation !== after?.generation ||
      before?.overBudget !== after?.overBudget ||
      before?.errors.count !== after?.errors.count;
    if (isNew && after !== null) this.#options.onProfileSeen(after);
    // Else only its status is another, which is the operator's own word.
    if (isNew || change.contentChanged || change.selectorChanged) this.planner.profileChanged(key, change);
  }

  #peersChanged(set: string): void {
    for (const { key } of this.policies.ofPeer(set)) this.#policyController.queue.addAfter(key, PEERS_MS);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((settle) => {
    if (signal.aborted) settle();
    else signal.addEventListener("abort", () => settle(), { once: true });
  });
}
