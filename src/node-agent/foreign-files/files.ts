/** Paths inside a workload's root, which is not this process's own: no absolute link may lead out of it. */
import { lstatSync, readlinkSync } from "node:fs";
import { lstat, readlink } from "node:fs/promises";
import { posix } from "node:path";
import { causeCode } from "../../api/errors.ts";

/** As the kernel's MAXSYMLINKS. */
const MAX_LINKS = 40;

/** Codes of "there is nothing (to be seen) at this path": then the path stays as it was listed. */
const ABSENT: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "EACCES", "EINVAL", "ELOOP", "ENAMETOOLONG"]);

/** What is at a path: the text of a link, and when it was changed (ms since 1970), something else (null), or nothing that can be seen. */
type LinkTarget = { text: string; changed: number } | null | "absent";

/** Whether a link counts, by its path inside the root. */
export type LinkFilter = (path: string, changed: number) => Promise<boolean>;

/** The way to the file that a path leads to: yields paths to be looked at, takes what is there, returns the path inside `root`. */
function* way(root: string, path: string): Generator<string, string, LinkTarget> {
  const pending = components(path);
  let resolved: string[] = [];
  let links = 0;
  while (pending.length > 0) {
    const name = pending.shift() as string;
    if (name === "..") {
      resolved.pop();
      continue;
    }
    const target = yield hostPath(root, [...resolved, name]);
    if (target === "absent") return path;
    if (target === null) {
      resolved.push(name);
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return path;
    if (target.text.startsWith("/")) resolved = [];
    pending.unshift(...components(target.text));
  }
  return `/${resolved.join("/")}`;
}

/**
 * The file that a path leads to, as a path inside `root`. A path that leads nowhere (yet) is itself.
 * @param root the root directory of the workload as seen from here, e.g. `/proc/123/root`. Somebody else's files: see ForeignFiles
 * @param counts a path that needs a link which does not count leads nowhere; all of them do unless given
 */
export async function resolveInRoot(
  root: string,
  path: string,
  counts: LinkFilter = async () => true,
): Promise<string> {
  const steps = way(root, path);
  let step = steps.next();
  while (step.done !== true) {
    const target = await linkTarget(step.value);
    const isRefused =
      target !== null && target !== "absent" && !(await counts(step.value.slice(root.length), target.changed));
    step = steps.next(isRefused ? "absent" : target);
  }
  return step.value;
}

/** The same among this machine's own files. */
export function resolveOwn(path: string): string {
  const steps = way("/", path);
  let step = steps.next();
  while (step.done !== true) step = steps.next(ownLinkTarget(step.value));
  return step.value;
}

/**
 * The files that listed paths lead to on this machine. A path is looked up once in a workload's life, so that nobody can lead a
 * listed name to another file later.
 */
export class ListedFiles {
  readonly #files: Record<string, string>;

  /** @param known what was looked up before; stays as it is */
  constructor(known: Readonly<Record<string, string>> = {}) {
    this.#files = { ...known };
  }

  /** The file behind a path; the path itself where it is no link, or leads nowhere. */
  fileOf(path: string): string {
    const known = Object.hasOwn(this.#files, path) ? this.#files[path] : undefined;
    const file = known ?? resolveOwn(path);
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

async function linkTarget(path: string): Promise<LinkTarget> {
  try {
    const status = await lstat(path);
    return status.isSymbolicLink() ? { text: await readlink(path), changed: status.ctimeMs } : null;
  } catch (cause) {
    return absentTarget(cause);
  }
}

function ownLinkTarget(path: string): LinkTarget {
  try {
    const status = lstatSync(path);
    return status.isSymbolicLink() ? { text: readlinkSync(path), changed: status.ctimeMs } : null;
  } catch (cause) {
    return absentTarget(cause);
  }
}

function absentTarget(cause: unknown): "absent" {
  if (ABSENT.has(causeCode(cause) ?? "")) return "absent";
  throw cause;
}
