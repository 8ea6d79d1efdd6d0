/**
 * Whether a file of a container is still the one of its image, seen from outside: on an overlay file system, whatever was
 * created or changed lies in the upper directory, under the same path. That is the same rule by which the kernel side
 * judges executables (the dentry has an upper one), and nothing a process inside can undo: times can be set, layers not.
 */
import { lstat } from "node:fs/promises";
import { posix } from "node:path";
import { causeCode } from "../../api/errors.ts";

/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export interface Mount {
  /** Of this mount and no other, as long as it is there. */
  id: string;
  /** `major:minor` of the file system. */
  device: string;
  /** Folder of the file system that is mounted. */
  root: string;
  mountPoint: string;
  type: string;
  /** Of the superblock. */
  options: string[];
}

/** The node's files, for who sees its processes. */
const NODE_ROOT = "/proc/1/root";

export function parseMountInfo(text: string): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => {
      const fields = line.split(" ");
      const separator = fields.indexOf("-");
      const [id, device, root, mountPoint] = [fields[0], fields[2], fields[3], fields[4]];
      const [type, options] = [fields[separator + 1], fields[separator + 3]];
      if (separator < 0 || id === undefined || device === undefined || root === undefined) return [];
      if (mountPoint === undefined || type === undefined) return [];
      return [
        {
          id,
          device,
          root: unescapeOctal(root),
          mountPoint: unescapeOctal(mountPoint),
          type,
          options: splitOptions(options ?? ""),
        },
      ];
    });
}

/** The mount that a path lies on: the one with the longest mount point; of several there, the last, which covers the others. */
export function mountOf(mounts: Mount[], path: string): Mount | null {
  let best: Mount | null = null;
  for (const mount of mounts) {
    const inside = mount.mountPoint === "/" || path === mount.mountPoint || path.startsWith(`${mount.mountPoint}/`);
    if (inside && (best === null || mount.mountPoint.length >= best.mountPoint.length)) best = mount;
  }
  return best;
}

/**
 * Whether what is at a path is as the image has it: on the container's root, and not changed since.
 * @param path absolute, in the process's root
 * @param changed when it was last changed (ctime), ms since 1970; what counts where the root is no overlay, or its upper layer is out of
 *   reach: nobody inside can set it
 * @param container what a process in it tells: its mounts, and when it started
 */
export async function isOfImage(
  path: string,
  changed: number,
  { mounts, started }: { mounts: Mount[]; started: number },
): Promise<boolean> {
  const mount = mountOf(mounts, path);
  if (mount === null || mount.mountPoint !== "/") return false;
  if (mount.type !== "overlay") return changed <= started;
  const upper = mount.options.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length);
  // Without one, nobody can write.
  if (upper === undefined) return true;
  // The folder must be there, or else "not in it" would mean nothing. It is the node's, and this process may have a root of its own.
  for (const folder of [upper, posix.join(NODE_ROOT, upper)]) {
    if (await isThere(folder)) return !(await isThere(posix.join(folder, mount.root, path)));
  }
  return changed <= started;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (cause) {
    if (["ENOENT", "ENOTDIR", "EACCES"].includes(causeCode(cause) ?? "")) return false;
    throw cause;
  }
}

/** Commas inside a value are written as `\,` in overlay options. */
function splitOptions(text: string): string[] {
  return unescapeOctal(text)
    .split(/(?<!\\),/)
    .map((option) => option.replaceAll("\\,", ",").replaceAll("\\\\", "\\"));
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
