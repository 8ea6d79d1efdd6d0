/**
 * What the agent guards: a workload is one network namespace, seen from outside. Sources of workloads (named
 * network namespaces here, Kubernetes pods later) all speak of them in these terms.
 */
import type { PortcullisError } from "../../api/errors.ts";

/** One veth of a workload: its end inside, and the end in the agent's namespace to which programs are attached. */
export interface WorkloadInterface {
  /** Name inside the workload, e.g. `eth0`. */
  name: string;
  /** Hardware address of the end inside, `aa:bb:cc:dd:ee:ff`. */
  mac: string;
  /** Index and name of the end in the agent's own network namespace. */
  hostIfindex: number;
  hostIfname: string;
}

export interface WorkloadContainer {
  name: string;
  /** Id of its cgroup on the v2 hierarchy, as bpf_get_current_cgroup_id gives it. */
  cgroupId: bigint;
  /**
   * Its root directory as seen from here, `/proc/PID/root` of a process in it, by which listed links are followed.
   * Absent: it has no process (yet), or shares this machine's files.
   */
  root?: string;
  /** The mount that is its root, as that process had it when it was first seen. */
  rootMount?: string;
  /** When its first process began, ns since 1970, as the clock was when it was first seen. Absent: it is not known (yet). */
  started?: bigint;
  /** Added to the pod later, for debugging. Absent: it is not. */
  isEphemeral?: boolean;
}

/** A workload as its source sees it at this moment. `workloadKey` is what stays the same through its life. */
export interface Workload {
  name: string;
  /** Of the pod that it is, as in the name of its cgroup; absent for what is no pod. */
  podUid?: string;
  /** Of the pod at the API server, where that is known; records carry it. */
  apiUid?: string;
  /** Kubernetes namespace: only profiles of the same one select it. */
  namespace: string;
  labels: Readonly<Record<string, string>>;
  /** Path under which the network namespace can be opened. */
  netnsPath: string;
  /** Inode number of the network namespace. A new one under the same name means: a new workload. */
  netnsInum: number;
  /** Id of that namespace in the agent's own (NETNSA_NSID), for socket lookups from BPF. */
  nsid: number;
  /** Every veth whose other end is in the agent's namespace, by host ifindex. Never empty. */
  interfaces: readonly WorkloadInterface[];
  /** Its own addresses, canonical text, sorted; loopback left out, link-local ones included. */
  addresses: readonly string[];
  /** Search domains of its resolv.conf, in order, lower case, without the trailing dot; null while they are not known. */
  searchDomains: readonly string[] | null;
  /**
   * Addresses of its name servers, as its maker has them. None for pods: a container may write to the resolv.conf that it sees, and must
   * not widen its rights by that; the operator knows the cluster's.
   */
  resolvers: readonly string[];
  containers: readonly WorkloadContainer[];
  /** What cannot be guarded although the workload as a whole is: e.g. a macvlan beside the veth. */
  problems: readonly PortcullisError[];
}

/** A workload that was named and cannot be guarded yet; `problem` says why, and what to do. */
export interface UnresolvedWorkload {
  name: string;
  podUid?: string;
  namespace: string;
  labels: Readonly<Record<string, string>>;
  problem: PortcullisError;
}

/** Everything that a source knows, always whole: who misses one snapshot has all of it with the next. */
export interface WorkloadSnapshot {
  workloads: readonly Workload[];
  unresolved: readonly UnresolvedWorkload[];
}

export type WorkloadListener = (snapshot: WorkloadSnapshot) => void;

/** A level-triggered source of workloads. */
export interface WorkloadSource {
  /** The state as of the last look. */
  snapshot(): WorkloadSnapshot;
  /** Looks now, tells the listeners if something changed, and returns the state. */
  refresh(): WorkloadSnapshot;
  /** Calls the listener with the state at once, and after each change; returns what ends that. */
  subscribe(listener: WorkloadListener): () => void;
  /** Stops looking and closes what was opened. The workloads stay as they are. */
  close(): void;
}

/** Identifies a workload across snapshots, agents and restarts: the uid of a pod, else `namespace/name`. */
export function workloadKey(workload: { namespace: string; name: string; podUid?: string }): string {
  return workload.podUid ?? workloadName(workload);
}

/** `namespace/name`, for people. */
export function workloadName(workload: { namespace: string; name: string }): string {
  return `${workload.namespace}/${workload.name}`;
}
