/** Paths inside a workload's root, which is not this process's own: no absolute link may lead out of it. */
import { lstatSync, readlinkSync } from "node:fs";
import { posix } from "node:path";
import { causeCode } from "../../api/errors.ts";

/** As the kernel's MAXSYMLINKS. */
const MAX_LINKS = 40;

/** Codes of "there is nothing (to be seen) at this path": then the path stays as it was listed. */
const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "EACCES", "EINVAL", "ELOOP", "ENAMETOOLONG"]);

/**
 * The file that a path leads to, as a path inside `root`. A path that leads nowhere (yet) is itself.
 * @param root the root directory of the workload as seen from here, e.g. `/` or `/proc/123/root`
 */
export function resolveInRoot(root: string, path: string): string {
  let pending = components(path);
  let resolved: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const name = pending.shift() as string;
    if (name === "..") {
      resolved.pop();
      continue;
    }
    const target = linkTarget(hostPath(root, [...resolved, name]));
    if (target === "absent") return path;
    if (target === null) {
      resolved.push(name);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return path;
    if (target.text.startsWith("/")) resolved = [];
    pending = [...components(target.text), ...pending];
  }
  return `/${resolved.join("/")}`;
}

/** True if a path is the file itself: no part of it is a symbolic link, and it is a regular file. */
export function isPlainFile(root: string, path: string): boolean {
  const parts = components(path);
  if (parts.includes("..")) return false;
  return parts.every((_, index) => {
    const last = index === parts.length - 1;
    const status = lstatSync(hostPath(root, parts.slice(0, index + 1)), { throwIfNoEntry: false });
    return status !== undefined && (last ? status.isFile() : status.isDirectory());
  });
}

/**
 * The files that listed paths lead to. A path is looked up once in a workload's life, so that nobody inside can lead a listed
 * name to another file later.
 */
export class ListedFiles {
  readonly #root: string;
  readonly #files: Record<string, string>;

  /** @param known what was looked up before; stays as it is */
  constructor(root: string, known: Readonly<Record<string, string>> = {}) {
    this.#root = root;
    this.#files = { ...known };
  }

  /** The file behind a path; the path itself where it is no link, or leads nowhere. */
  fileOf(path: string): string {
    const known = Object.hasOwn(this.#files, path) ? this.#files[path] : undefined;
    const file = known ?? resolveInRoot(this.#root, path);
    this.#files[path] = file;
    return file;
  }

  /** All that have been looked up. */
  entries(): Record<string, string> {
    return { ...this.#files };
  }
}

function components(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function hostPath(root: string, parts: string[]): string {
  return posix.join(root, ...parts);
}

function linkTarget(path: string): { text: string } | null | "absent" {
  try {
    return lstatSync(path).isSymbolicLink() ? { text: readlinkSync(path) } : null;
  } catch (cause) {
    if (ABSENT.has(causeCode(cause) ?? "")) return "absent";
    throw cause;
  }
}
