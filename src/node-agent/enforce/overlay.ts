/**
 * Whether a file of a container is still the one of its image, seen from outside: on an overlay file system, whatever was
 * created or changed lies in the upper directory, under the same path. That is the same rule by which the kernel side
 * judges executables (the dentry has an upper one), and nothing a process inside can undo: times can be set, layers not.
 */
import { lstatSync } from "node:fs";
import { posix } from "node:path";

/** One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
export interface Mount {
  /** `major:minor` of the file system. */
  device: string;
  /** Folder of the file system that is mounted. */
  root: string;
  mountPoint: string;
  type: string;
  /** Of the superblock. */
  options: string[];
}

/** How a file relates to its image. `unknown`: the upper directory cannot be looked at from here. */
export type ImageState = "unchanged" | "changed" | "unknown";

export function parseMountInfo(text: string): Mount[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => {
      const fields = line.split(" ");
      const separator = fields.indexOf("-");
      const [device, root, mountPoint] = [fields[2], fields[3], fields[4]];
      const [type, options] = [fields[separator + 1], fields[separator + 3]];
      if (separator < 0 || device === undefined || root === undefined) return [];
      if (mountPoint === undefined || type === undefined) return [];
      return [
        {
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
 * @param path absolute, without links, in the process's root
 * @param mounts of that process
 */
export function imageState(mounts: Mount[], path: string): ImageState {
  const mount = mountOf(mounts, path);
  if (mount === null) return "unknown";
  if (mount.type !== "overlay") return "unchanged";
  const upper = mount.options.find((option) => option.startsWith("upperdir="))?.slice("upperdir=".length);
  if (upper === undefined) return "unchanged";
  // The directory must be there, or else "not in it" would mean nothing.
  if (!upper.startsWith("/") || lstatSync(upper, { throwIfNoEntry: false }) === undefined) return "unknown";
  const inMount = mount.mountPoint === "/" ? path : path.slice(mount.mountPoint.length);
  return lstatSync(posix.join(upper, mount.root, inMount), { throwIfNoEntry: false }) === undefined
    ? "unchanged"
    : "changed";
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
