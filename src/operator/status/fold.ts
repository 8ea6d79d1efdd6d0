/** All pods of a profile, summed up by node. */
import type { Weakness } from "../../api/pods/weaknesses.ts";
import type { AgentRecord } from "../distribution/agent-records.ts";
import type { PodPlan } from "../plan/planner.ts";
import type { FailingNode } from "../profiles/profile-status.ts";
import { type Clock, COMPILE_FAILED, type Failure, judgePod, limitOf } from "./pod-verdicts.ts";
import { wholeSeconds } from "./totals.ts";

export interface Folded {
  pods: { selected: number; enforced: number; unprotected: number };
  /** Nodes with pods that can be protected. */
  nodes: { total: number; programmed: number; ready: number };
  /** By name. */
  failing: FailingNode[];
  /** Nodes whose kernels can do less than others, and that do all that theirs can. By name. */
  limited: FailingNode[];
  /** Of the first pod that cannot be protected. */
  unprotected: (Failure & { pod: string }) | null;
  /** Why pods keep what they had, if some do. */
  compileFailure: Failure | null;
  /** Pods that nothing is known to judge, because their node's agent is away or hangs, and why. */
  unjudged: { plan: PodPlan; message: string }[];
  /** Pods that were let through before anything was known of them, by their keys. */
  letThrough: string[];
  /** What pods have beyond their need: how many have each, and one of them. */
  weaknesses: Map<Weakness, { pods: number; first: string }>;
  /** Other names of listed files, by the listed path. */
  sharedWith: Map<string, Set<string>>;
}

interface NodeSum {
  pods: number;
  programmed: number;
  enforced: number;
  failure: Failure | null;
  failed: number;
  limit: Failure | null;
}

/** A profile that selects so many pods, of which nothing is known yet. */
export function unfolded(selected: number): Folded {
  return {
    pods: { selected, enforced: 0, unprotected: 0 },
    nodes: { total: 0, programmed: 0, ready: 0 },
    failing: [],
    limited: [],
    unprotected: null,
    compileFailure: null,
    unjudged: [],
    letThrough: [],
    weaknesses: new Map(),
    sharedWith: new Map(),
  };
}

export function foldPods(
  plans: readonly PodPlan[],
  agentOf: (node: string) => AgentRecord | undefined,
  clock: Clock,
  weaknessesOf: (pod: string) => readonly Weakness[],
): Folded {
  const folded = unfolded(plans.length);
  const nodes = new Map<string, NodeSum>();
  for (const plan of plans) {
    addPod(folded, nodes, plan, agentOf(plan.node), clock);
    for (const weakness of weaknessesOf(plan.key)) {
      const { pods, first } = folded.weaknesses.get(weakness) ?? { pods: 0, first: plan.key };
      folded.weaknesses.set(weakness, { pods: pods + 1, first });
    }
  }
  for (const [name, sum] of nodes) addNode(folded, name, sum);
  for (const list of [folded.failing, folded.limited]) list.sort((left, right) => (left.name < right.name ? -1 : 1));
  return folded;
}

function addPod(
  folded: Folded,
  nodes: Map<string, NodeSum>,
  plan: PodPlan,
  agent: AgentRecord | undefined,
  clock: Clock,
): void {
  const { protectable, programmed, enforced, failure, unjudged } = judgePod(plan, agent, clock);
  if (unjudged && failure !== null) folded.unjudged.push({ plan, message: failure.message });
  const letThrough = Math.min(Number(agent?.pods.get(plan.uid)?.letThrough ?? 0n), clock.now);
  if (letThrough > 0) {
    const since = wholeSeconds(new Date(letThrough));
    folded.unjudged.push({ plan, message: `the pod was let through at ${since}: its policy was not known in time` });
    folded.letThrough.push(plan.key);
  }
  for (const { path, names } of agent?.pods.get(plan.uid)?.sharedFiles ?? []) {
    const known = folded.sharedWith.get(path) ?? new Set<string>();
    for (const name of names) known.add(name);
    folded.sharedWith.set(path, known);
  }
  if (failure?.reason === COMPILE_FAILED) folded.compileFailure ??= failure;
  if (!protectable) {
    folded.pods.unprotected += 1;
    if (failure !== null) folded.unprotected ??= { ...failure, pod: plan.key };
    return;
  }
  if (enforced) folded.pods.enforced += 1;
  const sum = nodes.get(plan.node) ?? newSum(agent);
  nodes.set(plan.node, sum);
  sum.pods += 1;
  if (programmed) sum.programmed += 1;
  if (enforced) sum.enforced += 1;
  if (failure !== null) {
    sum.failure ??= failure;
    sum.failed += 1;
  }
}

function newSum(agent: AgentRecord | undefined): NodeSum {
  return { pods: 0, programmed: 0, enforced: 0, failure: null, failed: 0, limit: limitOf(agent) };
}

function addNode({ nodes, failing, limited }: Folded, name: string, sum: NodeSum): void {
  nodes.total += 1;
  if (sum.programmed === sum.pods) nodes.programmed += 1;
  if (sum.enforced === sum.pods && sum.failure === null) nodes.ready += 1;
  if (sum.failure !== null) failing.push({ name, ...sum.failure, pods: sum.failed });
  if (sum.limit !== null) limited.push({ name, ...sum.limit, pods: sum.pods });
}
