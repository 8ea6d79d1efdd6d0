/** Which workload a pod is a replica of, by its name and labels: records do not say it. */
import type { WorkloadReference } from "./record.ts";

/** Of Deployments' pods; it is in their names, too. */
export const TEMPLATE_HASH = "pod-template-hash";
export const JOB_LABELS = ["batch.kubernetes.io/job-name", "job-name"] as const;
export const STATEFUL_LABELS = ["statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"] as const;
/** Of the pods of DaemonSets and StatefulSets. */
export const REVISION_HASH = "controller-revision-hash";

/** What a pod's name has behind that of its ReplicaSet, DaemonSet or Job. */
const RANDOM_SUFFIX = /-[a-z0-9]{5}$/;
const INDEX_SUFFIX = /-\d+$/;
/** The minute, since 1970, for which a CronJob has made a Job. */
const SCHEDULE_SUFFIX = /-\d{8,10}$/;

/** Name of the Deployment, StatefulSet, DaemonSet, Job or CronJob; of a bare pod, its own. */
export function ownerName({ name, labels }: Pick<WorkloadReference, "name" | "labels">): string {
  const hash = labels[TEMPLATE_HASH];
  if (hash !== undefined) return name.replace(RANDOM_SUFFIX, "").replace(new RegExp(`-${hash}$`), "");
  const job = JOB_LABELS.map((label) => labels[label]).find((value) => value !== undefined);
  if (job !== undefined) return job.replace(SCHEDULE_SUFFIX, "");
  if (STATEFUL_LABELS.some((label) => labels[label] !== undefined)) return name.replace(INDEX_SUFFIX, "");
  return labels[REVISION_HASH] === undefined ? name : name.replace(RANDOM_SUFFIX, "");
}
