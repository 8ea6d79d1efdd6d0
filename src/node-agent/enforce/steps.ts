/** One workload's way through a reconcile: what is known of it, and what came of it. Pure. */
import { effectOf } from "../../api/types.ts";
import type { RuleTable } from "../../policy/table/tables.ts";
import { workloadKey } from "../discovery/workload.ts";
import { UNGUARDED } from "../netlink/errors.ts";
import type { DesiredWorkload, WorkloadOutcome } from "./desired.ts";
import type { WorkloadState } from "./state/state.ts";
import type { RuleStore } from "./tables/rule-store.ts";
import type { PolicyInForce } from "./tables/workload-value.ts";

/** A workload on its way through a reconcile. */
export interface Step {
  desired: DesiredWorkload;
  state: WorkloadState;
  /** As it was before, for the outcome. */
  before: WorkloadState | null;
  policy: PolicyInForce;
  /** The kernel has a policy for it that the state file does not know; it stays until there is one that is known. */
  recovered: boolean;
  /** A hold on a table was taken in this reconcile. */
  held: boolean;
  /** Its table could not be written. */
  refused: boolean;
  /** Every interface has our programs. */
  guarded: boolean;
  published: boolean;
  error: { code: string; message: string } | null;
}

/** What will be remembered of a workload; its policy is still the one from before. */
export function nextState(
  id: number,
  desired: DesiredWorkload,
  before: WorkloadState | null,
  now: Date,
): WorkloadState {
  const { workload, policy } = desired;
  const uid = workload.apiUid ?? workload.podUid;
  return {
    id,
    key: workloadKey(workload),
    name: workload.name,
    namespace: workload.namespace,
    labels: { ...workload.labels },
    ...(uid === undefined ? {} : { uid }),
    netnsInum: workload.netnsInum,
    netnsPath: workload.netnsPath,
    interfaces: workload.interfaces.map(({ hostIfindex, hostIfname }) => ({
      ifindex: hostIfindex,
      ifname: hostIfname,
    })),
    addresses: [...workload.addresses],
    containers: workload.containers.map(({ name, cgroupId }) => ({ name, cgroupId: cgroupId.toString() })),
    files: policy.kind === "table" ? policy.files : (before?.files ?? {}),
    tableId: before?.tableId ?? null,
    pending: before?.pending ?? true,
    problems: workload.problems.map(({ code, message }) => ({ code, message })),
    since: before?.since ?? now.toISOString(),
    error: null,
  };
}

export function outcomeOf(step: Step, store: RuleStore): WorkloadOutcome {
  const { state, before, error, refused } = step;
  const table = tableOf(state, store);
  return {
    ...describe(state, store),
    state: outcomeState(step, table),
    table,
    tableHash: table?.hash ?? null,
    replaced: before !== null && before.tableId !== state.tableId ? tableOf(before, store) : null,
    error,
    problems: state.problems ?? [],
    refused,
    changed: before === null || step.published || before.error?.message !== error?.message,
  };
}

export function goneOutcome(state: WorkloadState, store: RuleStore): WorkloadOutcome {
  const nothing = { table: null, tableHash: null, error: null, problems: [], refused: false, changed: true };
  return { ...describe(state, store), ...nothing, state: "gone", replaced: tableOf(state, store) };
}

/** What is in force is not known, and nothing better is. */
export function isKept(step: Step): boolean {
  return step.recovered && step.policy === "pending" && step.desired.policy.kind !== "pending";
}

export function tableIdOf(policy: PolicyInForce): number | null {
  return typeof policy === "string" ? null : policy.id;
}

function outcomeState(step: Step, table: RuleTable | null): WorkloadOutcome["state"] {
  if (!step.guarded) return "failed";
  if (step.state.pending) return "pending";
  if (table === null) return "unrestricted";
  return (step.state.problems ?? []).some(({ code }) => code === UNGUARDED) ? "partly" : effectOf(table.actions);
}

function describe(state: WorkloadState, store: RuleStore) {
  const { id, name, namespace, labels } = state;
  const profiles = tableOf(state, store)?.profiles ?? [];
  return { id, name, namespace, labels, interfaces: state.interfaces.map(({ ifname }) => ifname), profiles };
}

function tableOf(state: WorkloadState, store: RuleStore) {
  return state.tableId === null ? null : (store.find(state.tableId)?.table ?? null);
}
