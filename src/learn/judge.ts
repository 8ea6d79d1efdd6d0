/** What profiles say to something that was recorded, by the very compiler and evaluator. */
import type { Reason } from "../api/reasons.ts";
import type { SecurityProfile } from "../api/types.ts";
import type { CompileOptions } from "../policy/compile/compile.ts";
import { explain } from "../policy/explain/explain.ts";
import type { Traffic } from "../policy/explain/explain-layers.ts";
import type { Application } from "../policy/reference/applications.ts";
import { parseIp } from "../policy/table/addresses.ts";
import { protocolNumber } from "../policy/table/ports.ts";
import type { SelectableWorkload } from "../policy/table/selection.ts";
import type { Observation } from "./recording.ts";

/**
 * `Allowed`, or the reason of the violation. `undecided`: it depends on what the record does not tell, which is what was said, what led to
 * the process, and its user. `unjudged`: no
 * profile selects the workload.
 */
export type Finding = Reason | "undecided" | "unjudged";

/** What a rule asks of a process beside its executable. */
const CONDITIONS: ReadonlySet<Reason> = new Set(["Ancestry", "User"]);

/**
 * Whether all that the observation needs is allowed: the question for the name that led to the address, and the conversation. Which
 * actions the profiles have does not matter.
 * @throws CompileError if the profiles that select the workload cannot be united
 */
export function judge(
  profiles: SecurityProfile[],
  workload: SelectableWorkload,
  observation: Observation,
  options: CompileOptions,
): Finding {
  const steps = trafficOf(observation);
  let finding: Finding = steps.length === 0 ? "undecided" : "Allowed";
  for (const traffic of steps) {
    const answer = explain(profiles, { workload, process: observation.subject, traffic }, options);
    if (answer.judgedBy === "unrestricted") return "unjudged";
    if (CONDITIONS.has(answer.reason)) return "undecided";
    if (answer.reason !== "Allowed") return answer.reason;
    if (answer.provided.length > 0) finding = "undecided";
  }
  return finding;
}

/** What was sent or received first, one after the other; nothing where the record cannot be read. */
export function trafficOf({ direction, peer, protocol, port, name, question, application }: Observation): Traffic[] {
  const remote = parseIp(peer);
  const number = protocolNumber(protocol);
  if (remote === null || number === null) return [];
  const conversation: Traffic = {
    direction,
    peer: { remote, protocol: number, port: port ?? 0 },
    resolved: name,
    question: question?.name ?? null,
    application: application === null ? "unknown" : (application as Application),
  };
  if (name === null) return [conversation];
  return [{ direction, peer: null, resolved: null, question: name, application: "dns" }, conversation];
}
