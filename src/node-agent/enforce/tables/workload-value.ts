/** A workload and its rule table as `struct workload`. Pure. */
import { ACTIONS, type Action, type Attack } from "../../../api/types.ts";
import {
  AttackFlag,
  ModeFlag,
  Workload as WorkloadCodec,
  WorkloadFlag,
  type Workload as WorkloadValue,
} from "../../../gen/abi.gen.ts";
import { joinsGroups } from "../../../policy/reference/link-control.ts";
import type { RuleTable } from "../../../policy/table/tables.ts";
import type { Workload, WorkloadInterface } from "../../discovery/workload.ts";
import type { TableState } from "../state/state.ts";
import { rulesetId } from "./rule-store.ts";

const MODES: Record<Action, number> = {
  alert: ModeFlag.ALERT,
  enforce: ModeFlag.ENFORCE,
  "trace-dns": ModeFlag.TRACE_DNS,
  learn: ModeFlag.LEARN,
};

/** Those that the kernel side knows; the validator refuses the others. */
const ATTACKS: Partial<Record<Attack, number>> = {
  "arp-spoofing": AttackFlag.ARP_SPOOFING,
  "ip-spoofing": AttackFlag.IP_SPOOFING,
  "ndp-spoofing": AttackFlag.NDP_SPOOFING,
  "dns-spoofing": AttackFlag.DNS_SPOOFING,
};

export type PolicyInForce = TableState | "unrestricted" | "pending";

/**
 * The value for one of a workload's interfaces.
 * @param reportsAllowed the first packet of each of its allowed flows is reported too
 */
export function workloadValue(
  id: number,
  workload: Pick<Workload, "netnsInum" | "nsid" | "podUid">,
  link: Pick<WorkloadInterface, "hostIfindex">,
  policy: PolicyInForce,
  reportsAllowed: boolean,
): WorkloadValue {
  const base = {
    id,
    netnsInum: workload.netnsInum,
    nsid: workload.nsid,
    ifindex: link.hostIfindex,
    tableId: 0,
    attacks: 0,
    defaultRuleset: [0, 0] as [number, number],
  };
  // Who is blocked, or not guarded, should hear of it: no actions of a profile are known here that say otherwise.
  if (policy === "pending") return { ...base, flags: WorkloadFlag.PENDING, mode: ModeFlag.ALERT | ModeFlag.ENFORCE };
  if (policy === "unrestricted") return { ...base, flags: WorkloadFlag.UNRESTRICTED, mode: 0 };
  const { table, rulesets } = policy;
  const fallback = table.default;
  return {
    ...base,
    tableId: policy.id,
    flags:
      (fallback === null ? WorkloadFlag.DEFAULT_ABSENT : 0) |
      (workload.podUid === undefined ? 0 : WorkloadFlag.OWN_ROOTS) |
      (joinsGroups(table) ? WorkloadFlag.GROUPS : 0) |
      (leavesOut(table, workload) ? WorkloadFlag.WITHOUT_EPHEMERAL : 0) |
      (reportsAllowed ? WorkloadFlag.REPORT_ALLOWED : 0),
    mode: table.actions.reduce((flags, action) => flags | MODES[action], 0),
    attacks: table.attacks.reduce((flags, attack) => flags | (ATTACKS[attack] ?? 0), 0),
    defaultRuleset:
      fallback === null ? [0, 0] : [rulesetId(rulesets, fallback.egress), rulesetId(rulesets, fallback.ingress)],
  };
}

/** What is no pod has no containers that could be left out. */
function leavesOut(table: RuleTable, { podUid }: Pick<Workload, "podUid">): boolean {
  return podUid !== undefined && table.ephemeralContainers === "Exclude";
}

/** The actions behind a workload's `mode`. */
export function actionsOf(mode: number): Action[] {
  return ACTIONS.filter((action) => (mode & MODES[action]) !== 0);
}

export function sameWorkloadValue(left: WorkloadValue, right: WorkloadValue): boolean {
  return WorkloadCodec.encode(left).equals(WorkloadCodec.encode(right));
}
