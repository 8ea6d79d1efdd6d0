/** Deviations that somebody wants -> the profiles that allow them. */
import type { SecurityProfile } from "../api/types.ts";
import { type CompileOptions, profileName } from "../policy/compile/compile.ts";
import { explain } from "../policy/explain/explain.ts";
import { remedyOf, withRemedy } from "../policy/explain/remedy.ts";
import type { SelectableWorkload } from "../policy/table/selection.ts";
import type { Deviation } from "./drift.ts";
import { trafficOf } from "./judge.ts";

export interface Accepted {
  /** In their order; those that nothing was added to are as they were. */
  profiles: SecurityProfile[];
  /** What no rule can allow. */
  refused: Deviation[];
}

/**
 * Adds to the profiles what each deviation needs, and nothing else; lists grow, nothing is taken away.
 * @throws CompileError if the profiles that select the workload cannot be united
 */
export function accept(
  profiles: readonly SecurityProfile[],
  workload: SelectableWorkload,
  deviations: readonly Deviation[],
  options: CompileOptions,
): Accepted {
  const refused: Deviation[] = [];
  let grown = [...profiles];
  for (const deviation of deviations) {
    const allowing = withDeviation(grown, workload, deviation, options);
    if (allowing === null) refused.push(deviation);
    else grown = allowing;
  }
  return { profiles: grown, refused };
}

/** Null where no rule allows it. */
function withDeviation(
  profiles: SecurityProfile[],
  workload: SelectableWorkload,
  { observation, reason }: Deviation,
  options: CompileOptions,
): SecurityProfile[] | null {
  const steps = reason === "Listen" ? [] : trafficOf(observation);
  if (steps.length === 0) return null;
  return steps.reduce<SecurityProfile[] | null>((grown, traffic) => {
    if (grown === null) return null;
    const question = { workload, process: observation.subject, traffic };
    if (explain(grown, question, options).allowed) return grown;
    const remedy = remedyOf(grown, question, options);
    if (remedy === null) return null;
    return grown.map((profile) => (profileName(profile) === remedy.profile ? withRemedy(profile, remedy) : profile));
  }, profiles);
}
