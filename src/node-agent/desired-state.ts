/** What profiles and workloads come to: the rule table that is wanted for each workload. */
import { causeText } from "../api/errors.ts";
import type { SecurityProfile } from "../api/types.ts";
import type { RevisionError } from "../flow/record.ts";
import { compileTable } from "../policy/compile/compile.ts";
import { selectProfiles } from "../policy/table/selection.ts";
import type { RuleTable } from "../policy/table/tables.ts";
import { type Workload, workloadName } from "./discovery/workload.ts";
import type { DesiredPolicy, DesiredWorkload } from "./enforce/desired.ts";
import type { FittedTable } from "./enforce/images/container-files.ts";
import { ListedFiles } from "./foreign-files/files.ts";

/** Called for a workload while no profile is known: what to do with it meanwhile. */
export type WithoutProfiles = (workload: Workload) => DesiredPolicy;

/** The table with what listed paths lead to in the containers of a pod; null while that is looked up. */
export type Fit = (table: RuleTable, workload: Workload) => FittedTable | null;

export interface DesiredState {
  workloads: DesiredWorkload[];
  /** Profiles that cannot be united for a workload. */
  errors: RevisionError[];
}

/**
 * @param profiles null if none are known yet, which is something else than knowing that there are none
 * @param files what a workload's listed paths were found to lead to
 */
export function desiredState(
  profiles: SecurityProfile[] | null,
  workloads: readonly Workload[],
  files: (workload: Workload) => Record<string, string>,
  fit: Fit,
  withoutProfiles: WithoutProfiles,
): DesiredState {
  const state: DesiredState = { workloads: [], errors: [] };
  for (const workload of workloads) {
    try {
      const policy =
        profiles === null || isUnidentified(workload)
          ? withoutProfiles(workload)
          : desiredPolicy(profiles, workload, files(workload), fit);
      state.workloads.push({ workload, policy });
    } catch (cause) {
      state.errors.push({ source: workloadName(workload), field: "", message: causeText(cause) });
      state.workloads.push({ workload, policy: { kind: "unchanged" } });
    }
  }
  return state;
}

/** A pod that has been found and that the operator has not described: its labels are not known, rather than none. */
function isUnidentified({ podUid, namespace }: Workload): boolean {
  return podUid !== undefined && namespace === "";
}

function desiredPolicy(
  profiles: SecurityProfile[],
  workload: Workload,
  known: Record<string, string>,
  fit: Fit,
): DesiredPolicy {
  const { namespace, labels } = workload;
  const selected = selectProfiles(profiles, { namespace, labels: { ...labels } });
  if (selected.length === 0) return { kind: "unrestricted" };
  const searchDomains = [...(workload.searchDomains ?? [])];
  const { resolvers } = workload;
  if (workload.podUid !== undefined) {
    const fitted = fit(compileTable(selected, { searchDomains, resolvers }), workload);
    return fitted === null ? { kind: "unchanged" } : { kind: "table", ...fitted };
  }
  // Named network namespaces share the machine's files. A listed name counts as itself too: what runs in a root of its own may have a file of that name.
  const files = new ListedFiles(known);
  const table = compileTable(selected, { searchDomains, resolvers, files: (path) => [files.fileOf(path)] });
  return { kind: "table", table, files: files.entries() };
}
