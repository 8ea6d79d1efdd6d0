/** Which workload a pod is a replica of, by its name and labels: records do not say it. */
import { isBookkeepingLabel } from "../api/labels.ts";
import type { WorkloadReference } from "../flow/record.ts";

/** Of Deployments' pods; it is in their names, too. */
const TEMPLATE_HASH = "pod-template-hash";
const JOB_LABELS = ["batch.kubernetes.io/job-name", "job-name"] as const;
const STATEFUL_LABELS = ["statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"] as const;
/** Of the pods of DaemonSets and StatefulSets. */
const REVISION_HASH = "controller-revision-hash";

/** What controllers tell the replicas and revisions of one workload apart by (kubernetes.io/docs/reference/labels-annotations-taints). */
const REPLICA_LABELS: ReadonlySet<string> = new Set([
  ...[TEMPLATE_HASH, REVISION_HASH, "pod-template-generation", "controller-uid", "batch.kubernetes.io/controller-uid"],
  ...["batch.kubernetes.io/job-completion-index", ...JOB_LABELS, ...STATEFUL_LABELS],
]);

/** What a pod's name has behind that of its ReplicaSet, DaemonSet or Job. */
const RANDOM_SUFFIX = /-[a-z0-9]{5}$/;
const INDEX_SUFFIX = /-\d+$/;
/** The minute, since 1970, for which a CronJob has made a Job. */
const SCHEDULE_SUFFIX = /-\d{8,10}$/;

/** Name of the Deployment, StatefulSet, DaemonSet, Job or CronJob; of a bare pod, its own. */
export function ownerName({ name, labels }: WorkloadReference): string {
  const hash = labels[TEMPLATE_HASH];
  if (hash !== undefined) return name.replace(RANDOM_SUFFIX, "").replace(new RegExp(`-${hash}$`), "");
  const job = JOB_LABELS.map((label) => labels[label]).find((value) => value !== undefined);
  if (job !== undefined) return job.replace(SCHEDULE_SUFFIX, "");
  if (STATEFUL_LABELS.some((label) => labels[label] !== undefined)) return name.replace(INDEX_SUFFIX, "");
  return labels[REVISION_HASH] === undefined ? name : name.replace(RANDOM_SUFFIX, "");
}

/** Labels that all replicas have, and that say nothing of one of them. */
export function selectorLabels(replicas: readonly Readonly<Record<string, string>>[]): Record<string, string> {
  const [first = {}, ...others] = replicas;
  const common = Object.entries(first)
    .filter(([key]) => !REPLICA_LABELS.has(key) && !isBookkeepingLabel(key))
    .filter(([key, value]) => others.every((labels) => labels[key] === value));
  return Object.fromEntries(common.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}
