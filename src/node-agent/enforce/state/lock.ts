/** One agent for one set of pins. The lock goes with its holder; that enforcement goes on has nothing to do with it. */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { causeCode } from "../../../api/errors.ts";
import { openLocked, tryLock } from "../../ffi/file-lock.ts";
import { AgentRunningError } from "../errors.ts";

export const LOCK_FILE = "agent.lock";

export interface AgentLock {
  /** Gives the lock back. The file stays, with the pid of who held it last. */
  release(): void;
}

/** A lock whose file was removed keeps nobody out: it is looked for this often, and made again. */
const LOOK_MS = 1000;

/**
 * @param onRemade called when the file had been removed and has been made again, with null; or with why it could not be
 * @throws AgentRunningError if an agent holds the lock
 */
export function acquireLock(
  stateDirectory: string,
  pinRoot: string,
  onRemade: (problem: Error | null) => void = () => {},
): AgentLock {
  const path = join(stateDirectory, LOCK_FILE);
  let file = lockedFile(stateDirectory, pinRoot);
  let reported = "";
  const timer = setInterval(() => {
    try {
      if (isFileAt(file, path)) return;
      const remade = lockedFile(stateDirectory, pinRoot);
      closeSync(file);
      file = remade;
      reported = "";
      onRemade(null);
    } catch (cause) {
      const text = String(cause);
      if (text !== reported) onRemade(cause instanceof Error ? cause : new Error(text));
      reported = text;
    }
  }, LOOK_MS).unref();
  return {
    release: () => {
      clearInterval(timer);
      closeSync(file);
    },
  };
}

function lockedFile(stateDirectory: string, pinRoot: string): number {
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const path = join(stateDirectory, LOCK_FILE);
  const file = openLocked(path);
  if (file === null) throw new AgentRunningError(pinRoot, path, readPid(path));
  ftruncateSync(file, 0);
  writeSync(file, `${process.pid}\n`);
  return file;
}

function isFileAt(file: number, path: string): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  const held = fstatSync(file);
  return there !== undefined && there.ino === held.ino && there.dev === held.dev;
}

/** The pid of the agent that is alive on these pins; null if there is none. 0 if it lives and its pid is not known. */
export function runningAgent(stateDirectory: string): number | null {
  const path = join(stateDirectory, LOCK_FILE);
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (cause) {
    if (causeCode(cause) === "ENOENT") return null;
    throw cause;
  }
  try {
    return tryLock(file, "shared", path) ? null : (readPid(path) ?? 0);
  } finally {
    closeSync(file);
  }
}

/** Removes the lock file; only for who holds the lock, with nothing left that it protects. */
export function removeLockFile(stateDirectory: string): void {
  rmSync(join(stateDirectory, LOCK_FILE), { force: true });
}

function readPid(path: string): number | null {
  const pid = Number.parseInt(readFileSync(path, "utf8"), 10);
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}
