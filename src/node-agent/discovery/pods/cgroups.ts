/**
 * Which pod and which container a cgroup is, recognised by its path alone: the kubelet and the runtimes name them by rules
 * that have not changed in years, and that need no socket of a runtime. Pure.
 *
 * Sources: the kubelet's cgroup_manager_linux.go (`kubepods`, QoS classes, `pod<uid>`; with systemd as driver every
 * level is a slice whose name repeats its parents', and `-` in a uid is `_`), containerd's and CRI-O's and cri-dockerd's
 * cgroup parents and prefixes, runc's systemd driver (`slice:prefix:name` where it is not asked for systemd).
 */

/** A cgroup of a pod, or something below it. */
export interface PodCgroup {
  /** As in `metadata.uid`; of a static pod, the hash that the kubelet gives it (32 hexadecimal digits). */
  podUid: string;
  /** As the runtime gives it, 64 hexadecimal digits; null for the pod's own cgroup. */
  containerId: string | null;
  /** Whether the cgroup is the pod's or the container's itself, not something below that a container made. */
  exact: boolean;
}

/** One line of /proc/PID/cgroup. */
export interface ProcessCgroup {
  /** Empty for cgroup v2. */
  controllers: string[];
  path: string;
}

const UID = "[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32}";
const ID = "[0-9a-f]{64}";
/** `pod<uid>`, or `kubelet-kubepods-burstable-pod<uid_>.slice`: whatever the parents are called. */
const POD = new RegExp(`^(?:[A-Za-z0-9_.-]+-)?pod(${UID})(?:\\.slice)?$`);
/** containerd and dockershim; CRI-O; with systemd as driver, a prefix and `.scope`. */
const CONTAINER = new RegExp(`^(?:(?:cri-containerd|crio|docker|containerd|libpod|cri-o)-)?(${ID})(?:\\.scope)?$`);
/** What runc makes of a systemd-style path where it does not talk to systemd: one directory, `slice:prefix:id`. */
const UNSPLIT = new RegExp(`^(?:[A-Za-z0-9_.-]+-)?pod(${UID})\\.slice:[a-z-]+:(${ID})$`);

/**
 * What a cgroup's path says.
 *
 * @param path as in /proc/PID/cgroup, or relative to where a hierarchy is mounted
 * @returns null for a cgroup that is no pod's: system services, QoS classes, CRI-O's monitors
 */
export function podCgroup(path: string): PodCgroup | null {
  const parts = path.split("/").filter((part) => part !== "");
  for (const [index, part] of parts.entries()) {
    const below = parts.slice(index + 1);
    const unsplit = UNSPLIT.exec(part);
    if (unsplit !== null) {
      return { podUid: uidText(unsplit[1]), containerId: unsplit[2] ?? null, exact: below.length === 0 };
    }
    const pod = POD.exec(part);
    if (pod !== null) return insidePod(uidText(pod[1]), below);
  }
  return null;
}

/** The innermost pod counts in no way: a cluster inside a container (kind) is seen from its own node. */
function insidePod(podUid: string, below: readonly string[]): PodCgroup | null {
  const [first, ...rest] = below;
  if (first === undefined) return { podUid, containerId: null, exact: true };
  const id = CONTAINER.exec(first)?.[1];
  if (id === undefined) return { podUid, containerId: null, exact: false };
  // CRI-O with crun puts the processes into a child of its own making: that is the container as well.
  const exact = rest.length === 0 || (rest.length === 1 && rest[0] === "container");
  return { podUid, containerId: id, exact };
}

function uidText(text = ""): string {
  return text.replaceAll("_", "-");
}

/** Parses /proc/PID/cgroup (cgroups(7)): `hierarchy:controllers:path`, on v1 one line for each hierarchy. */
export function parseProcessCgroups(text: string): ProcessCgroup[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === undefined || path === undefined) return [];
      return [{ controllers: controllers === "" ? [] : controllers.split(","), path }];
    });
}

/** What a process's cgroups say, v2 before v1: on hybrid nodes a runtime may have placed it in the v1 ones only. */
export function podOfProcess(cgroups: readonly ProcessCgroup[]): PodCgroup | null {
  const unified = cgroups.filter(({ controllers }) => controllers.length === 0);
  const others = cgroups.filter(({ controllers }) => controllers.length > 0);
  for (const { path } of [...unified, ...others]) {
    const pod = podCgroup(path);
    if (pod?.containerId != null) return pod;
  }
  return null;
}
