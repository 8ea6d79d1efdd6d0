/** "May this process be connected to at this port?", which is asked when it starts to listen. */
import type { Reason, Verdict } from "../../api/reasons.ts";
import { effectOf, type SecurityProfile } from "../../api/types.ts";
import { type CompileOptions, compileTable } from "../compile/compile.ts";
import { verdictOf } from "../reference/evaluate.ts";
import { rightsOf } from "../reference/rights.ts";
import { originsOf, portMask } from "../table/lookup.ts";
import { type SelectableWorkload, selects } from "../table/selection.ts";
import type { Subject } from "../table/subject.ts";
import type { BlockOrigin } from "../table/tables.ts";

export interface Listening {
  workload: SelectableWorkload;
  process: Subject;
  protocol: number;
  port: number;
}

export interface ListenExplanation {
  /** False: no profile selects the workload, or those that do only learn. */
  judged: boolean;
  reason: Reason;
  /** Nothing is dropped: a packet to the port will be. */
  verdict: Verdict;
  allowedBy: BlockOrigin[];
}

/** @throws CompileError if the profiles that select the workload cannot be united. */
export function explainListen(
  profiles: SecurityProfile[],
  { workload, process, protocol, port }: Listening,
  options: CompileOptions,
): ListenExplanation {
  const selected = profiles.filter((profile) => selects(profile, workload).selected);
  const table = compileTable(selected, options);
  if (selected.length === 0 || effectOf(table.actions) === "learning") {
    return { judged: false, reason: "Allowed", verdict: "allowed", allowedBy: [] };
  }
  const { ruleset, mask } = rightsOf(table, process, "ingress");
  const allowing = mask & portMask(ruleset, protocol, port);
  if (allowing !== 0n) {
    return { judged: true, reason: "Allowed", verdict: "allowed", allowedBy: originsOf(ruleset, allowing) };
  }
  const reported = table.actions.filter((action) => action !== "enforce");
  return { judged: true, reason: "Listen", verdict: verdictOf("Listen", reported), allowedBy: [] };
}
