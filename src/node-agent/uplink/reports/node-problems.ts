/** What is wrong on the node as a whole: hooks that the kernel does not have, maps that were full, and programs that get in between. */
import { create } from "@bufbuild/protobuf";
import { InternalError, type PortcullisError } from "../../../api/errors.ts";
import { ErrorKind } from "../../../gen/abi.gen.ts";
import { type Problem, ProblemSchema } from "../../../gen/agent_pb.js";
import { type Workload, workloadName } from "../../discovery/workload.ts";
import type { Enforcement } from "../../enforce/enforcement.ts";
import { type PeerRedirect, peerRedirectText } from "../../kernel/peer-redirects.ts";
import type { RecordsState } from "../../records/messages.ts";

/** What it means that one of these has been counted. Others cost an event or a lookup, and no verdict. */
const FULL: readonly (readonly [keyof typeof ErrorKind, string])[] = [
  ["FLOWS_FULL", "flows could not be remembered: their packets are judged one by one"],
  ["DNS_QUERIES_FULL", "DNS questions could not be remembered: their answers taught nothing"],
  ["LEARNED_FULL", "learned addresses could not be kept: connections by name were refused"],
  ["PROCESSES_FULL", "processes could not be kept: their traffic was judged by default"],
  ["PATHS_FULL", "executable paths could not be kept: such processes were judged by default"],
];

export function nodeProblems({ programs, maps }: Pick<Enforcement, "programs" | "maps">): Problem[] {
  const missing = programs.missing.map(({ program, consequence }) =>
    create(ProblemSchema, {
      code: "PC_HOOK_MISSING",
      message: `this kernel has no place for ${program}: ${consequence}`,
      // As little as this kernel can; a profile that is in force that far does not fail on it for ever.
      reducesEnforcement: false,
    }),
  );
  const full = FULL.filter(([kind]) => (maps.errors.get(ErrorKind[kind]) ?? 0n) > 0n).map(([, message]) =>
    create(ProblemSchema, { code: "PC_MAP_FULL", message, reducesEnforcement: true }),
  );
  return [...missing, ...full];
}

/** Packets that such programs put into pods cannot be judged, whatever the pods' profiles say. */
export function redirectProblems(found: readonly PeerRedirect[]): Problem[] {
  if (found.length === 0) return [];
  const message = `what comes in may not be judged: ${peerRedirectText(found)}`;
  return [create(ProblemSchema, { code: "PC_PEER_REDIRECT", message, reducesEnforcement: true })];
}

/** What is wanted could not be put in force, and is tried again. */
export function behindProblem(why: string): Problem {
  const message = `the kernel cannot be brought in line with what is wanted: ${why}`;
  return create(ProblemSchema, { code: "PC_KERNEL_BEHIND", message, reducesEnforcement: true });
}

/** What the operator says is in force, and will not be known to an agent that starts without an operator. */
export function notKeptProblem(why: string): Problem {
  const message = `what the operator says is in force, and cannot be kept for a start without it: ${why}`;
  return create(ProblemSchema, { code: "PC_STATE_KEPT", message, reducesEnforcement: false });
}

/** Records are not kept, or nobody can ask for them. @param state null: they are not to be */
export function recordsProblem(state: RecordsState | null): Problem | null {
  if (state === null || state.problem === null) return null;
  return create(ProblemSchema, { code: "PC_RECORDS_NOT_KEPT", message: state.problem, reducesEnforcement: false });
}

/** Files of many pods may hang for one reason: so many are named. */
const NAMED_MAX = 3;

/** Pods whose files cannot be looked at. What is in force for them is less than their rights, never more. */
export function fileProblems(pods: readonly { workload: Workload; problem: PortcullisError }[]): Problem[] {
  return [...Map.groupBy(pods, ({ problem }) => problem.code).values()].map(fileProblem);
}

function fileProblem(pods: readonly { workload: Workload; problem: PortcullisError }[]): Problem {
  const [first] = pods;
  if (first === undefined) throw new InternalError("a problem of no pod");
  const names = pods.slice(0, NAMED_MAX).map(({ workload }) => workloadName(workload));
  const more = pods.length > NAMED_MAX ? ` and ${pods.length - NAMED_MAX} more` : "";
  const message = `${names.join(", ")}${more}: ${first.problem.message}`;
  return create(ProblemSchema, { code: first.problem.code, message, reducesEnforcement: false });
}
