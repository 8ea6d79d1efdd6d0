/** What a node cannot see of a pod in its own cgroups and namespaces, and has to be given: names and labels. */

/** Where the kubelet keeps the pods' logs, in folders `namespace_name_uid` which it makes before it makes the pod. */
export const POD_LOGS = "/var/log/pods";

export interface PodFacts {
  uid: string;
  /** At the API server; that of a static pod is another one there. Absent: the API server is not asked. */
  apiUid?: string;
  namespace: string;
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Init, sidecar and ephemeral containers too. `id` as in the cgroup's path; empty until it is known. */
  containers: readonly { name: string; id: string; ephemeral?: boolean }[];
  /** It shares the node's network namespace: there is no workload to make of it. */
  hostNetwork: boolean;
}

/** Where a source of pods asks. Whoever is not known here is found nevertheless, under its uid, and kept pending. */
export interface PodDirectory {
  find(uid: string): PodFacts | null;
  /** Calls the listener when facts have changed; returns what ends that. */
  subscribe(listener: () => void): () => void;
}
