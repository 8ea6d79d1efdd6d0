/**
 * From the cluster to what each node is to have: profiles select pods, the profiles of a pod make its policy, the policy's table is
 * bound to the pod on its node. Everything is looked up anew by key; only what depends on a change is looked at.
 */
import { type Binding, PolicyKind } from "../../gen/agent_pb.js";
import type { WorkQueue } from "../../kube/work-queue.ts";
import { bindingDigest } from "../../protocol/bindings.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import type { PodIndex } from "../cluster/pod-index.ts";
import type { PodRecord } from "../cluster/pod-record.ts";
import { type ProfileChange, type ProfileIndex, selectsWorkload } from "../cluster/profile-index.ts";
import type { NodeStates } from "./node-states.ts";
import type { Policies, Policy } from "./policies.ts";
import type { StoredTable, TableStore } from "./table-store.ts";

/** What is planned for one pod that has a node. */
export interface PodPlan {
  key: string;
  uid: string;
  node: string;
  /** Keys of the profiles that select it. */
  profiles: readonly string[];
  policy: Policy | null;
  /** What its node is to have for it; null: nothing yet, its policy is being compiled. */
  binding: Binding | null;
  /** That the binding leads to. */
  table: StoredTable | null;
}

export interface PlannerOptions {
  pods: PodIndex;
  profiles: ProfileIndex;
  policies: Policies;
  tables: TableStore;
  nodes: NodeStates;
  /** Search list of a pod's resolv.conf. */
  searchDomains: (pod: PodRecord) => string[];
  /** What is to be looked at soon. */
  queues: { pods: Pick<WorkQueue, "add">; policies: Pick<WorkQueue, "add" | "addAfter"> };
  log: Logger;
}

export class Planner {
  readonly #options: PlannerOptions;
  readonly #plans = new Map<string, PodPlan>();
  readonly #byUid = new Map<string, PodPlan>();
  readonly #podsOfProfile = new Map<string, Set<string>>();
  readonly #listeners = new Set<(profile: string) => void>();

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /** Calls the listener whenever a profile's pods, or what is wanted for them, have changed. */
  subscribe(listener: (profile: string) => void): void {
    this.#listeners.add(listener);
  }

  plan(podKey: string): PodPlan | undefined {
    return this.#plans.get(podKey);
  }

  planOfUid(uid: string): PodPlan | undefined {
    return this.#byUid.get(uid);
  }

  /** Plans of the pods that a profile selects. */
  plansOf(profile: string): PodPlan[] {
    const keys = this.#podsOfProfile.get(profile) ?? [];
    return [...keys].map((key) => this.#plans.get(key)).filter((plan) => plan !== undefined);
  }

  /**
   * A profile was made, changed or deleted. Pods that it selects no more, or now, are looked at before its policies are: none
   * has, even for a moment, the new content by the old selector.
   */
  profileChanged(profile: string, change: ProfileChange): void {
    const { queues, policies } = this.#options;
    if (change.selectorChanged) for (const pod of this.#podsToLookAt(profile, change)) this.#reconcileNow(pod);
    if (change.contentChanged) {
      for (const policy of policies.ofProfile(profile)) {
        policy.isStale = true;
        queues.policies.add(policy.key);
      }
    }
    this.#changed(profile);
  }

  /** One pod's failure is that pod's: it is tried again. */
  #reconcileNow(pod: string): void {
    try {
      this.reconcilePod(pod);
    } catch (cause) {
      const { queues, log } = this.#options;
      log.error({ err: cause, pod }, "a pod could not be planned; trying again");
      queues.pods.add(pod);
    }
  }

  /** Brings the plan of one pod in line with the cluster. */
  reconcilePod(key: string): void {
    const pod = this.#options.pods.get(key);
    const before = this.#plans.get(key) ?? null;
    const after = pod === undefined || pod.nodeName === "" ? null : this.#makePlan(key, pod, before);
    if (after?.table) this.#options.tables.hold(after.table);
    if (before?.policy && before.policy !== after?.policy) this.#options.policies.leave(key, before.policy);
    if (before !== null && (before.uid !== after?.uid || before.node !== after.node)) this.#forget(before);
    this.#file(key, before, after);
    if (after !== null && after.binding !== null) this.#options.nodes.bind(after.node, after.binding);
    if (before?.table) this.#options.tables.release(before.table);
    for (const profile of new Set([...(before?.profiles ?? []), ...(after?.profiles ?? [])])) {
      if (!isSamePlan(before, after)) this.#changed(profile);
    }
  }

  /** Compiles a policy anew, once it has rested, and binds its pods to what comes out. */
  async reconcilePolicy(key: string): Promise<void> {
    const { policies, queues } = this.#options;
    const policy = policies.get(key);
    if (policy === undefined) return;
    const rest = policy.restsUntil - steadyNow();
    if (rest > 0) {
      queues.policies.addAfter(key, rest);
      return;
    }
    const { error, isStale, isCompiled } = policy;
    const changed = await policies.compile(policy);
    if (policies.get(key) !== policy) return;
    if (changed || isCompiled !== policy.isCompiled) for (const pod of [...policy.pods]) this.#reconcileNow(pod);
    if (!changed && isStale === policy.isStale && error === policy.error) return;
    for (const profile of policy.profiles) this.#changed(profile);
  }

  /** Its node has reported search lists: looks at the pod again if its policy was compiled with another one. */
  domainsReported({ key, policy }: PodPlan): void {
    const { pods, searchDomains, queues } = this.#options;
    const pod = pods.get(key);
    if (policy === null || pod === undefined) return;
    if (searchDomains(pod).join(" ") !== policy.searchDomains.join(" ")) queues.pods.add(key);
  }

  #changed(profile: string): void {
    for (const listener of this.#listeners) listener(profile);
  }

  #makePlan(key: string, pod: PodRecord, before: PodPlan | null): PodPlan {
    const { profiles, policies, searchDomains, queues } = this.#options;
    const selecting = profiles.selecting(pod);
    const common = { key, uid: pod.uid, node: pod.nodeName, profiles: selecting, policy: null, table: null };
    if (pod.hostNetwork) return { ...common, binding: bindingOf(pod, PolicyKind.HOST_NETWORK) };
    if (profiles.isInDoubt(pod)) return { ...common, binding: bindingOf(pod, PolicyKind.KEEP) };
    if (selecting.length === 0) return { ...common, binding: bindingOf(pod, PolicyKind.UNRESTRICTED) };
    const policy = policies.join(key, selecting, searchDomains(pod));
    const joined = { ...common, profiles: policy.profiles, policy };
    if (policy.table !== null) {
      return { ...joined, table: policy.table, binding: bindingOf(pod, PolicyKind.TABLE, policy.table.hash) };
    }
    if (policy.isCompiled) return { ...joined, binding: bindingOf(pod, PolicyKind.KEEP) };
    queues.policies.add(policy.key);
    // Until it is compiled, what the pod has stays; one that is new waits.
    const isSamePod = before?.uid === pod.uid && before.node === pod.nodeName;
    return { ...joined, binding: isSamePod ? before.binding : null, table: isSamePod ? before.table : null };
  }

  #forget(plan: PodPlan): void {
    this.#options.nodes.unbind(plan.node, plan.uid);
    if (this.#byUid.get(plan.uid) === plan) this.#byUid.delete(plan.uid);
  }

  #file(key: string, before: PodPlan | null, after: PodPlan | null): void {
    for (const profile of before?.profiles ?? []) {
      if (after?.profiles.includes(profile)) continue;
      const pods = this.#podsOfProfile.get(profile);
      pods?.delete(key);
      if (pods?.size === 0) this.#podsOfProfile.delete(profile);
    }
    for (const profile of after?.profiles ?? []) {
      const pods = this.#podsOfProfile.get(profile) ?? new Set<string>();
      pods.add(key);
      this.#podsOfProfile.set(profile, pods);
    }
    if (after === null) this.#plans.delete(key);
    else {
      this.#plans.set(key, after);
      this.#byUid.set(after.uid, after);
    }
  }

  /** Pods that a profile selects now and did not before, and the other way round. */
  #podsToLookAt(profile: string, { before, after }: ProfileChange): string[] {
    const { pods } = this.#options;
    const selected = this.#podsOfProfile.get(profile) ?? new Set<string>();
    // One without a known valid revision keeps whatever it may concern as it is.
    const doubtful = [before, after].find((item) => item !== null && item.accepted === null);
    if (doubtful) return [...pods.ofNamespace(doubtful.namespace)].map(([key]) => key);
    if (after === null) return [...selected];
    const selector = after.accepted?.selector;
    const candidates = !selector ? [] : pods.candidates(after.namespace, selector);
    const wanted = [...candidates].filter(([, pod]) => selectsWorkload(after, pod)).map(([key]) => key);
    const isWanted = new Set(wanted);
    const lost = [...selected].filter((key) => !isWanted.has(key));
    return [...lost, ...wanted.filter((key) => !selected.has(key))];
  }
}

function isSamePlan(before: PodPlan | null, after: PodPlan | null): boolean {
  if (before === null || after === null) return false;
  if (before.binding === null || after.binding === null) return before.binding === after.binding;
  return before.node === after.node && bindingDigest(before.binding) === bindingDigest(after.binding);
}

function bindingOf(pod: PodRecord, policy: PolicyKind, tableHash = ""): Binding {
  const { uid: podUid, namespace, name, labels, containers } = pod;
  // Without copies of what the pod has: there are as many bindings as pods.
  return { $typeName: "portcullis.agent.v1.Binding", podUid, namespace, name, labels, policy, tableHash, containers };
}
