/** flock(2): a lock that the kernel takes back when its holder dies, however it dies. */
import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import koffi from "koffi";
import { KernelError } from "./errno.ts";
import { Library } from "./library.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");
const flock = libc.declare<(fd: number, operation: number) => number>("int flock(int fd, int operation)");

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/** Takes the lock on an open file if nobody holds one that excludes it; false if somebody does. */
export function tryLock(fd: number, kind: "exclusive" | "shared", path: string): boolean {
  if (flock(fd, (kind === "exclusive" ? LOCK_EX : LOCK_SH) | LOCK_NB) === 0) return true;
  const errno = koffi.errno();
  if (errno === EWOULDBLOCK) return false;
  throw new KernelError({ operation: "lock", object: path, errno });
}

/**
 * Opens a lock file, made if it is not there, and takes its lock. Whoever holds the lock may remove the file: those who had opened
 * it already then open the next one, so that no two ever hold locks on files of one path.
 *
 * @returns the open file, whose closing gives the lock back; null if somebody holds it
 */
export function openLocked(path: string): number | null {
  for (;;) {
    const file = openSync(path, "a+", 0o600);
    let kept = false;
    try {
      if (!tryLock(file, "exclusive", path)) return null;
      kept = fstatSync(file).ino === statSync(path, { throwIfNoEntry: false })?.ino;
      if (kept) return file;
    } finally {
      if (!kept) closeSync(file);
    }
  }
}
