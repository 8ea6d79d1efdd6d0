/** The desired policy of a workload, and the outcome of putting it in force. */
import type { Effect } from "../../api/types.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import type { Workload } from "../discovery/workload.ts";

export type DesiredPolicy =
  | { kind: "table"; table: RuleTable; files: Record<string, string> }
  /** It is known that no profile selects it, or it is let through for want of an answer. */
  | { kind: "unrestricted" }
  /** Not known yet: everything is dropped. */
  | { kind: "pending" }
  /** Nothing new is known: what is in force stays. For a workload never seen before, `pending`. */
  | { kind: "unchanged" };

export interface DesiredWorkload {
  workload: Workload;
  policy: DesiredPolicy;
}

export interface WorkloadOutcome {
  id: number;
  name: string;
  namespace: string;
  labels: Record<string, string>;
  /** `failed`: our programs are not on all of its interfaces. `partly`: it has one more, that nothing can be put on. */
  state: Effect | "partly" | "unrestricted" | "pending" | "failed" | "gone";
  interfaces: string[];
  /** `namespace/name` of the profiles in force. */
  profiles: string[];
  /** Of the table in force, null without one. */
  tableHash: string | null;
  /** The table that was in force before, if another is now. */
  replaced: RuleTable | null;
  table: RuleTable | null;
  /** Why what was wanted is not (wholly) in force. */
  error: { code: string; message: string } | null;
  /** What is not guarded, or cannot be known, although the workload as a whole is guarded. */
  problems: { code: string; message: string }[];
  /** The table that was wanted could not be written: what was in force before stays. */
  refused: boolean;
  /** Something about it is not as it was before this reconcile. */
  changed: boolean;
}
