/** What a process of a pod tells about the pod, by way of /proc. */
import { readFileSync, statSync } from "node:fs";
import { causeCode } from "../../api/errors.ts";
import { resolveInRoot } from "../enforce/files.ts";
import { type Mount, parseMountInfo } from "../enforce/overlay.ts";
import { readRegularFile } from "./regular-file.ts";
import { parseResolvConf, searchDomains } from "./resolv-conf.ts";

/** What a process that has ended, or is about to, answers with. */
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ESRCH", "EACCES", "EINVAL"]);
/** Where the kubelet keeps what a container's process writes as its last word: a mount that every container has. */
const TERMINATION_LOG = /\/pods\/([^/]+)\/containers\/([^/]+)\/[0-9a-f]{8}(?:\/\/deleted)?$/;
/** Of resolv.conf: the kubelet accepts far less. */
const RESOLV_CONF_MAX = 65_536;

/** Inode number of a process's network namespace; null once it has ended. */
export function processNetns(pid: number): number | null {
  return ifAlive(() => statSync(`/proc/${pid}/ns/net`).ino);
}

/** When a process started, in clock ticks since boot (proc_pid_stat(5), field 22); null once it has ended. */
export function processStart(pid: number): number | null {
  return ifAlive(() => {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the command, which may have blanks and parentheses in it.
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  });
}

/** What a process's mounts tell of its container. */
export interface ContainerMounts {
  /** As in the pod's specification. */
  name: string;
  /** Whether its root is the container's: a runtime's first process in there begins with the node's. */
  ownRoot: boolean;
}

/**
 * Which container of a pod a process is in, from a mount that the kubelet makes in each: known before the process has
 * executed anything, and without asking anybody.
 *
 * @returns null where there is no such mount: a sandbox, a process that is not yet in its own mount namespace
 */
export function containerMounts(pid: number, podUid: string): ContainerMounts | null {
  const text = mountInfo(pid);
  return text === null ? null : containerOfMounts(parseMountInfo(text), podUid);
}

/** The same, from the lines of /proc/PID/mountinfo. */
export function containerOfMounts(mounts: readonly Mount[], podUid: string): ContainerMounts | null {
  for (const { root, mountPoint } of mounts) {
    const [, uid, name] = TERMINATION_LOG.exec(root) ?? [];
    if (uid === podUid && name !== undefined) return { name, ownRoot: !isBeingMade(mounts, mountPoint) };
  }
  return null;
}

/** Until the runtime has made it the root, the container's file system lies, with a /proc of its own, somewhere in the node's. */
function isBeingMade(mounts: readonly Mount[], mountPoint: string): boolean {
  return mounts.some(({ type, mountPoint: proc }) => {
    const root = proc.endsWith("/proc") ? proc.slice(0, -"/proc".length) : "";
    return type === "proc" && root !== "" && mountPoint.startsWith(`${root}/`);
  });
}

/**
 * Whether a process's root is another than the node's. The runtime's first process in a pod begins in the node's, and
 * what it finds there is not the pod's.
 */
export function hasOwnRoot(pid: number): boolean {
  const [process, node] = [mountInfo(pid), mountInfo(1)];
  return process !== null && (node === null || rootMount(process) !== rootMount(node));
}

/** Device and folder of what is mounted at `/`; null where nothing is, as in a plain chroot. */
function rootMount(mounts: string): string | null {
  const roots = mounts.split("\n").map((line) => line.split(" "));
  const root = roots.findLast((fields) => fields[4] === "/");
  return root === undefined ? null : `${root[2]} ${root[3]}`;
}

function mountInfo(pid: number): string | null {
  return ifAlive(() => readFileSync(`/proc/${pid}/mountinfo`, "utf8"));
}

/**
 * Search list of the resolv.conf in a process's root. Whoever is inside may write to it later, so that it has to be read
 * before anybody is; a path that a link leads out of the root with is not followed.
 *
 * @returns null where there is none
 */
export function processSearchDomains(pid: number): string[] | null {
  const root = `/proc/${pid}/root`;
  const text = ifAlive(() => readRegularFile(`${root}${resolveInRoot(root, "/etc/resolv.conf")}`, RESOLV_CONF_MAX));
  return text === null ? null : searchDomains(parseResolvConf(text), "");
}

function ifAlive<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (GONE.has(causeCode(error) ?? "")) return null;
    throw error;
  }
}
