/** What became of the node's pods, in the words of the protocol. Pure. */

import { create } from "@bufbuild/protobuf";
import { isEffect } from "../../../api/types.ts";
import { type Binding, PodPhase, type PodState, PodStateSchema, PolicyKind } from "../../../gen/agent_pb.js";
import type { UnresolvedWorkload, Workload } from "../../discovery/workload.ts";
import type { WorkloadOutcome } from "../../enforce/desired.ts";

export interface Problem {
  code: string;
  message: string;
}

/** A workload, and what came of it. */
export interface PodOutcome {
  workload: Workload;
  outcome: WorkloadOutcome;
  binding: Binding | null;
  /** Why the table that was wanted is not what was asked to be put in force. */
  refusal: Problem | null;
  /** The operator's name for the table in force. */
  tableHash: string;
  /** When it was let through although nothing was known of it, in milliseconds since 1970; 0: it was not. */
  letThrough: number;
  /** `container:path` -> the file that it leads to. */
  files: Readonly<Record<string, string>>;
}

/** The state of a pod that has been found. */
export function podStateOf(pod: PodOutcome): PodState {
  const { workload, tableHash } = pod;
  const { phase, problem } = phaseOf(pod);
  return create(PodStateSchema, {
    podUid: pod.binding?.podUid ?? workload.podUid ?? "",
    phase,
    tableHash,
    code: problem?.code ?? "",
    message: problem?.message ?? "",
    searchDomains: [...(workload.searchDomains ?? [])],
    searchDomainsKnown: workload.searchDomains !== null,
    sharedFiles: sharedFiles(pod.files),
    letThrough: BigInt(pod.letThrough),
  });
}

/** The state of a pod that the operator knows and of which there is no workload (yet). */
export function absentPodState(binding: Binding, unresolved: UnresolvedWorkload | undefined): PodState {
  const { podUid } = binding;
  if (binding.policy === PolicyKind.HOST_NETWORK) {
    return create(PodStateSchema, {
      podUid,
      phase: PodPhase.UNPROTECTED,
      code: "PC_POD_HOST_NETWORK",
      message:
        "it shares the node's network namespace, where its packets cannot be distinguished from others; run it without hostNetwork",
    });
  }
  const problem = unresolved?.problem;
  // What cannot be looked at is reported as it is; who is merely not there yet is pending.
  const starting = problem === undefined || problem.code === "PC_POD_STARTING";
  return create(PodStateSchema, {
    podUid,
    phase: starting ? PodPhase.PENDING : PodPhase.UNPROTECTED,
    code: problem?.code ?? "PC_POD_STARTING",
    message: problem?.message ?? "it has no process on the node (yet); it is guarded as soon as it has one",
  });
}

function phaseOf({ workload, outcome, binding, refusal }: PodOutcome): { phase: PodPhase; problem: Problem | null } {
  const [partly] = workload.problems;
  const problem = outcome.error ?? refusal ?? partly ?? null;
  if (outcome.state === "pending" && problem === null) {
    return {
      phase: PodPhase.PENDING,
      problem: { code: "PC_POLICY_UNKNOWN", message: "its policy is not known yet: it is blocked meanwhile" },
    };
  }
  if (problem !== null || outcome.state === "failed") return { phase: PodPhase.FAILED, problem };
  if (isEffect(outcome.state)) return { phase: PodPhase.ENFORCED, problem: null };
  if (binding?.policy === PolicyKind.TABLE || binding?.policy === PolicyKind.KEEP) {
    const message = "its policy could not be known in time, or cannot be put in force: it is let through, unjudged";
    return { phase: PodPhase.FAILED, problem: { code: "PC_POLICY_UNKNOWN", message } };
  }
  return { phase: PodPhase.UNRESTRICTED, problem: null };
}

/** Listed paths that are links, with the files that they share their rights with. */
function sharedFiles(files: Readonly<Record<string, string>>) {
  const names = new Map<string, Set<string>>();
  for (const [key, file] of Object.entries(files)) {
    const path = key.slice(key.indexOf("/"));
    if (path === file) continue;
    names.set(path, (names.get(path) ?? new Set()).add(file));
  }
  return [...names].map(([path, others]) => ({
    $typeName: "portcullis.agent.v1.SharedFile" as const,
    path,
    names: [...others].sort(),
  }));
}
