/** What all replicas of a workload have in common, for a profile to select them by. */
import { isBookkeepingLabel } from "../api/labels.ts";
import { JOB_LABELS, REVISION_HASH, STATEFUL_LABELS, TEMPLATE_HASH } from "../flow/owner.ts";

/** What controllers tell the replicas and revisions of one workload apart by (kubernetes.io/docs/reference/labels-annotations-taints). */
const REPLICA_LABELS: ReadonlySet<string> = new Set([
  ...[TEMPLATE_HASH, REVISION_HASH, "pod-template-generation", "controller-uid", "batch.kubernetes.io/controller-uid"],
  ...["batch.kubernetes.io/job-completion-index", ...JOB_LABELS, ...STATEFUL_LABELS],
]);

/** Labels that all replicas have, and that say nothing of one of them. */
export function selectorLabels(replicas: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const [first = {}, ...others] = replicas;
  const common = Object.entries(first)
    .filter(([key]) => !REPLICA_LABELS.has(key) && !isBookkeepingLabel(key))
    .filter(([key, value]) => others.every((labels) => labels[key] === value));
  return Object.fromEntries(common.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
