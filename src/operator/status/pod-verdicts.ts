/** How far one pod has come: from the plan, over what its node's agent holds, to what the agent reports of it. */
import { PodPhase, PolicyKind } from "../../gen/agent_pb.js";
import { AGENT_GRACE_MS, type AgentRecord, ANSWER_MS } from "../distribution/agent-records.ts";
import type { PodPlan } from "../plan/planner.ts";
import { wholeSeconds } from "./totals.ts";

/** Why something is not as it should be. */
export interface Failure {
  /** One word. */
  reason: string;
  message: string;
}

export interface PodVerdict {
  /** It can be protected at all. */
  protectable: boolean;
  /** Its node's agent has taken what is wanted. */
  programmed: boolean;
  /** What is wanted is in force. */
  enforced: boolean;
  failure: Failure | null;
  /** Its node's agent is away or hangs, and has never said anything of it: nothing is known to judge it. */
  unjudged: boolean;
}

/** Times in milliseconds. */
export interface Clock {
  now: number;
  /** Since when agents can connect to this operator. */
  servingSince: number;
  /** When the certificate that agents are shown has expired; null: it has not. */
  certificateExpired?: number | null;
}

/** Agents may take so long to connect after this operator began to serve. */
export const SERVING_GRACE_MS = 20_000;
const HOST_NETWORK: Failure = {
  reason: "HostNetwork",
  message:
    "the pod shares its node's network namespace (hostNetwork: true), where pods cannot be distinguished; it is not protected",
};

export function judgePod(plan: PodPlan, agent: AgentRecord | undefined, clock: Clock): PodVerdict {
  if (plan.binding?.policy === PolicyKind.HOST_NETWORK) {
    return { protectable: false, programmed: true, enforced: false, failure: HOST_NETWORK, unjudged: false };
  }
  const state = agent?.pods.get(plan.uid);
  const away = agentFailure(agent, clock, state !== undefined);
  const failure = planFailure(plan) ?? away;
  const unjudged = away !== null && state === undefined && plan.binding?.policy === PolicyKind.TABLE;
  const held = agent?.acknowledged?.get(plan.uid);
  const wanted = isBeingCompiled(plan) ? "" : (plan.binding?.tableHash ?? "");
  const programmed = held?.policy === PolicyKind.TABLE && held.tableHash === wanted;
  if (state?.phase === PodPhase.UNPROTECTED) {
    const own = { reason: state.code || "Unprotected", message: state.message };
    return { protectable: false, programmed: true, enforced: false, failure: failure ?? own, unjudged };
  }
  const isCurrent = state?.tableHash === wanted && wanted !== "";
  const enforced = state?.phase === PodPhase.ENFORCED && isCurrent && failure?.reason !== COMPILE_FAILED;
  if (state?.phase === PodPhase.FAILED) {
    const own = { reason: state.code || "Failed", message: state.message };
    return { protectable: true, programmed, enforced: false, failure: failure ?? own, unjudged };
  }
  return { protectable: true, programmed, enforced, failure, unjudged };
}

/** What its profiles say is not in any table yet: the pod still has what they said before. */
function isBeingCompiled({ policy }: PodPlan): boolean {
  return policy?.isStale ?? false;
}

export const COMPILE_FAILED = "CompileFailed";

function planFailure({ policy, binding }: PodPlan): Failure | null {
  if (policy?.error) return { reason: COMPILE_FAILED, message: policy.error };
  if (binding?.policy !== PolicyKind.KEEP) return null;
  return {
    reason: "NotAccepted",
    message: "a profile that may select the pod is not valid; what was in force for the pod stays in force",
  };
}

/** @param isKnown whether the agent has said anything of the pod */
function agentFailure(agent: AgentRecord | undefined, clock: Clock, isKnown: boolean): Failure | null {
  const { now, servingSince, certificateExpired = null } = clock;
  const expired =
    certificateExpired === null
      ? null
      : `the operator's certificate has expired at ${timeText(certificateExpired)}, so that no agent connects; renew it`;
  const meanwhile = isKnown
    ? "what was in force stays in force"
    : "it has never said anything of this pod: unless the node has a gate that holds new pods back, nothing judges it, and its traffic passes";
  // An agent that is known may have been sent away by this operator itself, when it did not lead for a while.
  const mayConnect = now - servingSince < SERVING_GRACE_MS;
  if (agent === undefined) {
    if (mayConnect) return null;
    const message = expired ?? "no agent has connected from this node; is the agent's DaemonSet running there?";
    return { reason: "AgentMissing", message };
  }
  if (!agent.connected && agent.turnedAway !== null) {
    return { reason: "AgentIncompatible", message: `its agent was not let in: ${agent.turnedAway}; ${meanwhile}` };
  }
  if (!agent.connected && !mayConnect && now - agent.lastSeen > AGENT_GRACE_MS) {
    const silence = `its agent has not been heard of since ${timeText(agent.lastSeen)}; ${meanwhile}`;
    const message = expired === null ? silence : `${silence}; ${expired}`;
    return { reason: "AgentMissing", message };
  }
  if (agent.refusal !== null) return { reason: agent.refusal.code || "Refused", message: agent.refusal.message };
  if (agent.waitingSince !== null && now - agent.waitingSince > ANSWER_MS) {
    const message = `its agent has not answered since ${timeText(agent.waitingSince)}; ${meanwhile}`;
    return { reason: "AgentNotResponding", message };
  }
  const reduced = agent.problems.find(({ reducesEnforcement }) => reducesEnforcement);
  return reduced === undefined ? null : { reason: reduced.code || "Degraded", message: reduced.message };
}

/** What a node cannot do at all, and nobody can mend but by another kernel: no failure, but worth telling. */
export function limitOf(agent: AgentRecord | undefined): Failure | null {
  const limit = agent?.problems.find(({ reducesEnforcement }) => !reducesEnforcement);
  return limit === undefined ? null : { reason: limit.code, message: limit.message };
}

function timeText(milliseconds: number): string {
  return wholeSeconds(new Date(milliseconds));
}
