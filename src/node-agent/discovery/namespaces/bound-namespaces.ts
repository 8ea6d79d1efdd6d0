/** Network namespaces that have a name: files in /run/netns to which they are bound, as `ip netns` makes them. */
import { closeSync, existsSync, mkdirSync, openSync, statfsSync, statSync, unlinkSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";
import { ERRNO, isKernelError } from "../../ffi/errno.ts";
import { makeNetworkNamespace, shareMount, unbindNamespace } from "../../ffi/namespaces.ts";

const FOLDER = "/run/netns";
const OLD_FOLDER = "/var/run/netns";
/** NSFS_MAGIC, <linux/magic.h>: the file system of namespaces. */
const NSFS_MAGIC = 0x6e736673;

/** Where the namespace of this name is, or would be. */
export function namespacePath(name: string): string {
  const old = `${OLD_FOLDER}/${name}`;
  return !existsSync(`${FOLDER}/${name}`) && existsSync(old) ? old : `${FOLDER}/${name}`;
}

/**
 * The inode number of the namespace that is bound to the file; null where there is no such file, or nothing is bound
 * to it (yet: making a name and binding to it are two steps).
 *
 * @throws Node's error where the file is there and cannot be looked at
 */
export function boundNamespaceInum(path: string): number | null {
  try {
    return statfsSync(path).type === NSFS_MAGIC ? statSync(path).ino : null;
  } catch (error) {
    if (causeCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** The inode number of the network namespace that this thread is in. */
export function ownNamespaceInum(): number {
  return statSync("/proc/thread-self/ns/net").ino;
}

/**
 * Makes a network namespace of this name, as `ip netns add` does, and returns its path.
 *
 * @throws KernelError; Node's EEXIST where the name is taken
 */
export function addBoundNamespace(name: string): string {
  mkdirSync(FOLDER, { recursive: true, mode: 0o755 });
  shareMount(FOLDER);
  const path = `${FOLDER}/${name}`;
  closeSync(openSync(path, "wx", 0o400));
  try {
    makeNetworkNamespace(path);
  } catch (error) {
    unlinkSync(path);
    throw error;
  }
  return path;
}

/** Takes the name away; the namespace itself lives as long as something is in it. No such name: nothing happens. */
export function removeBoundNamespace(name: string): void {
  const path = `${FOLDER}/${name}`;
  if (!existsSync(path)) return;
  try {
    unbindNamespace(path);
  } catch (error) {
    // Nothing is bound there: a leftover of a name that was made half.
    if (!isKernelError(error, ERRNO.EINVAL)) throw error;
  }
  unlinkSync(path);
}
