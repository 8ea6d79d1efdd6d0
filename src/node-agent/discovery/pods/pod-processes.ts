/** What a process of a pod tells about the pod, by way of /proc. */
import { readFileSync, statSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";
import { clockOffsets } from "../../kernel/clock.ts";

/** What a process that has ended, or is about to, answers with. */
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ESRCH", "EACCES", "EINVAL"]);
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

/** Nanoseconds of a clock tick: USER_HZ is 100 on every machine that Node runs on. */
const TICK_NS = 10_000_000n;

/** When the first of some processes started, ns since 1970, as the clock is now; null once all have ended. */
export function firstStarted(pids: readonly number[]): bigint | null {
  const starts = pids.map(processStart).filter((start) => start !== null);
  if (starts.length === 0) return null;
  const { wall, boot } = clockOffsets();
  return BigInt(Math.min(...starts)) * TICK_NS + wall - boot;
}

function ifAlive<T>(look: () => T): T | null {
  try {
    return look();
  } catch (error) {
    if (GONE.has(causeCode(error) ?? "")) return null;
    throw error;
  }
}
