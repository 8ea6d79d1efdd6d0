/** Mount points of the file systems that the agent needs: /proc/self/mounts. */
import { readFileSync } from "node:fs";
import { PortcullisError } from "../../api/errors.ts";

/** A file system that enforcement needs is not mounted, or not where the settings expect it. */
export class MountError extends PortcullisError {
  constructor(message: string) {
    super("PC_MOUNT", message);
  }
}

export interface Mount {
  path: string;
  /** As in /proc/filesystems. */
  type: string;
  /** Whether it can be written to. */
  writable: boolean;
  /** The others; of cgroup v1, its controllers. */
  options: string[];
}

/** Parses /proc/self/mounts (proc(5)): device, path, type, options; blanks in paths are \040. */
export function parseMounts(text: string): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, path = "", type = "", options = ""] = line.split(" ");
      return {
        path: unescapeMountPath(path),
        type,
        writable: options.split(",")[0] === "rw",
        options: options.split(","),
      };
    });
}

function unescapeMountPath(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** This process's mounts. */
export function listMounts(): Mount[] {
  return parseMounts(readFileSync("/proc/self/mounts", "utf8"));
}

/** Where the cgroup v2 hierarchy is: /sys/fs/cgroup, or /sys/fs/cgroup/unified beside cgroup v1. Null: nowhere. */
export function findCgroupRoot(mounts: readonly Mount[] = listMounts()): string | null {
  return mounts.find(({ type }) => type === "cgroup2")?.path ?? null;
}

/** The same. @throws MountError if it is nowhere */
export function cgroupRoot(): string {
  const path = findCgroupRoot();
  if (path !== null) return path;
  throw new MountError(
    "no cgroup v2 hierarchy is mounted, so that sockets cannot be tied to processes. " +
      "Mount one: mount -t cgroup2 none /sys/fs/cgroup/unified (in a container: mount the host's /sys/fs/cgroup)",
  );
}

/** Where processes are sorted by what started them. */
export interface CgroupHierarchy {
  path: string;
  /** cgroup v2, whose directories' inode numbers are the ids that BPF sees. */
  unified: boolean;
}

/**
 * The hierarchies in which a runtime's containers can be found: cgroup v2, and on nodes that still have v1 beside it one of
 * those, for runtimes that make no v2 directories.
 * @throws MountError without cgroup v2
 */
export function cgroupHierarchies(mounts: readonly Mount[] = listMounts()): CgroupHierarchy[] {
  const unified = { path: findCgroupRoot(mounts) ?? cgroupRoot(), unified: true };
  const legacy = mounts.find(({ type, options }) => type === "cgroup" && options.includes("pids"));
  return legacy === undefined ? [unified] : [unified, { path: legacy.path, unified: false }];
}
