/** What the mounts and files of a pod's process tell about its container. Somebody else's files: see ForeignFiles. */
import { open, readFile, stat } from "node:fs/promises";
import { uptime } from "node:os";
import { dirname, join } from "node:path";
import { causeCode } from "../../api/errors.ts";
import { readRegularFile } from "../discovery/regular-file.ts";
import { parseResolvConf, searchDomains } from "../discovery/resolv-conf.ts";
import { type LinkFilter, resolveInRoot } from "./files.ts";
import { isOfImage, type Mount, parseMountInfo } from "./overlay.ts";

/** What a process that has ended, or is about to, answers with, and what is where no file is: a link to itself, a device without a driver. */
const NOTHING: ReadonlySet<string> = new Set([
  "ENOENT",
  "ESRCH",
  "EACCES",
  "EINVAL",
  "ELOOP",
  "ENOTDIR",
  "ENXIO",
  "ENODEV",
]);
/** Where the kubelet keeps what a container's process writes as its last word: a mount that every container has. */
const TERMINATION_LOG = /\/pods\/([^/]+)\/containers\/([^/]+)\/[0-9a-f]{8}(?:\/\/deleted)?$/;
/** Of resolv.conf: the kubelet accepts far less. */
const RESOLV_CONF_MAX = 65_536;
/** Of mountinfo: some 5,000 mounts. A container has a few dozen; the kernel would let one have 100,000, with 4 kB of options each. */
const MOUNTINFO_MAX = 1_048_576;

/** What a process's mounts tell of its container. */
export interface PodProcessMounts {
  /** The container's name as in the pod's specification; null without the mount that tells it: a sandbox, or not yet made. */
  container: string | null;
  /** Whether its root is the container's: a runtime's first process in there begins with the node's. */
  isRootMade: boolean;
  /** Whether its root is another than the node's. */
  hasOwnRoot: boolean;
  /** The mount that is its root; null where none is, as in a plain chroot. */
  rootMount: string | null;
}

/** Looks at them; null where the process has ended, or has more mounts than are read. */
export async function processMounts(pid: number, podUid: string): Promise<PodProcessMounts | null> {
  const mounts = await ifThere(() => readMounts(`/proc/${pid}`));
  if (mounts === null) return null;
  const node = await ifThere(() => readMounts("/proc/1"));
  const container = containerOfMounts(mounts, podUid);
  return {
    container: container?.name ?? null,
    isRootMade: container?.ownRoot ?? false,
    hasOwnRoot: node === null || rootFolder(mounts) !== rootFolder(node),
    rootMount: rootMount(mounts),
  };
}

/** Which container of a pod a process is in, from a mount that the kubelet makes in each: known before the process has executed anything. */
export function containerOfMounts(mounts: readonly Mount[], podUid: string): { name: string; ownRoot: boolean } | null {
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

function mountedRoot(mounts: readonly Mount[]): Mount | null {
  return mounts.findLast(({ mountPoint }) => mountPoint === "/") ?? null;
}

/** Device and folder of what is mounted at `/`; null where nothing is, as in a plain chroot. */
function rootFolder(mounts: readonly Mount[]): string | null {
  const root = mountedRoot(mounts);
  return root === null ? null : `${root.device} ${root.root}`;
}

/** The same, and which mount of it: a copy in another mount namespace is another one. */
function rootMount(mounts: readonly Mount[]): string | null {
  const root = mountedRoot(mounts);
  return root === null ? null : `${root.id} ${root.device} ${root.root}`;
}

/** Roots of which it is reported why they are of no use. */
const NAMED_MAX = 3;

/**
 * The first of some processes' roots that is their container's, and can be looked into: who traces, or keeps the agent out, keeps it
 * out of one process only.
 * @param roots `/proc/PID/root`, the best first
 * @param wanted the container's root, as `rootMount` of a process in it; null where it is not known
 * @throws Error that says why none is
 */
export async function readableRoot(roots: readonly string[], wanted: string | null): Promise<string> {
  const reasons: string[] = [];
  for (const root of roots) {
    const reason = await whyUnreadable(root, wanted);
    if (reason === null) return root;
    reasons.push(`${root}: ${reason}`);
  }
  const more = reasons.length > NAMED_MAX ? `, and ${reasons.length - NAMED_MAX} more` : "";
  throw new Error(
    `no process of the container lets the agent look into the container's root (${reasons.slice(0, NAMED_MAX).join(", ")}${more}). ` +
      "Listed paths that are links of its image are not followed, and what they lead to has no rights. The agent needs CAP_SYS_PTRACE, " +
      "and no AppArmor or SELinux policy that keeps it out",
  );
}

async function whyUnreadable(root: string, wanted: string | null): Promise<string | null> {
  try {
    const mounts = wanted === null ? null : await readMounts(dirname(root));
    if (wanted !== null && (mounts === null || rootMount(mounts) !== wanted))
      return "another root than the container's";
    await stat(join(root, "."));
    return null;
  } catch (cause) {
    return causeCode(cause) ?? String(cause);
  }
}

/**
 * The mounts of a process.
 * @param directory /proc/PID of the process
 * @returns null where they are more than are read: of a part of them nothing can be concluded
 * @throws Node's error where the process has ended
 */
export async function readMounts(directory: string): Promise<Mount[] | null> {
  await using file = await open(join(directory, "mountinfo"));
  const parts: Buffer[] = [];
  for (let length = 0; length <= MOUNTINFO_MAX; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(65_536), 0, 65_536, null);
    if (bytesRead === 0) return parseMountInfo(Buffer.concat(parts).toString("utf8"));
    parts.push(buffer.subarray(0, bytesRead));
    length += bytesRead;
  }
  return null;
}

/**
 * Tells links of a container's image from those that were made since.
 * @param directory /proc/PID of a process in it, which is looked at when there is a link
 */
export function imageLinks(directory: string): LinkFilter {
  let container: Promise<{ mounts: Mount[]; started: number } | null> | undefined;
  return async (path, changed) => {
    container ??= ifThere(() => readContainer(directory));
    const known = await container;
    return known !== null && (await isOfImage(path, changed, known));
  };
}

async function readContainer(directory: string): Promise<{ mounts: Mount[]; started: number } | null> {
  const mounts = await readMounts(directory);
  const stat = await readFile(join(directory, "stat"), "latin1");
  // The second field is the command, which may have blanks and parentheses in it. The 22nd is the start, in hundredths of a second since boot.
  const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  return mounts === null ? null : { mounts, started: Date.now() - uptime() * 1000 + ticks * 10 };
}

/**
 * Search list of the resolv.conf in a process's root. Whoever is inside may write to it later, so that it has to be read
 * before anybody is; a path that a link leads out of the root with is not followed.
 *
 * @returns null where there is none
 */
export async function processSearchDomains(pid: number): Promise<string[] | null> {
  const root = `/proc/${pid}/root`;
  const content = await ifThere(async () =>
    readRegularFile(`${root}${await resolveInRoot(root, "/etc/resolv.conf")}`, RESOLV_CONF_MAX),
  );
  return content === null ? null : searchDomains(parseResolvConf(content.toString("utf8")), "");
}

async function ifThere<T>(look: () => Promise<T>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    if (NOTHING.has(causeCode(error) ?? "")) return null;
    throw error;
  }
}
