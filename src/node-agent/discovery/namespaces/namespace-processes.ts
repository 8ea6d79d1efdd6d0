/** The processes that live in a network namespace. */
import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { causeCode } from "../../../api/errors.ts";

const GRACE = 2000;
const PAUSE = 20;

/** Inode numbers of the network namespaces that some process lives in. */
export function liveNamespaces(): Set<number> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return new Set(pids.flatMap((pid) => /\d+/.exec(namespaceOf(pid) ?? "") ?? []).map(Number));
}

/** Their process ids. */
export function namespaceProcesses(inum: number): number[] {
  const wanted = `net:[${inum}]`;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.filter((pid) => namespaceOf(pid) === wanted).map(Number);
}

/** null for one that has ended, and for kernel threads and zombies, which have none. */
function namespaceOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES"].includes(causeCode(error) ?? "")) return null;
    throw error;
  }
}

/** Sends every process of the namespace a signal. */
export function signalNamespace(inum: number, signal: NodeJS.Signals): void {
  for (const pid of namespaceProcesses(inum)) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (causeCode(error) !== "ESRCH") throw error;
    }
  }
}

/** Asks the processes of a namespace to end, ends those that have not after two seconds, and waits until they are gone. */
export async function endNamespaceProcesses(inum: number): Promise<void> {
  signalNamespace(inum, "SIGTERM");
  if (await areGone(inum)) return;
  // A process that forks in between is there for the next look.
  for (const deadline = performance.now() + GRACE; performance.now() < deadline; await sleep(PAUSE)) {
    if (namespaceProcesses(inum).length === 0) return;
    signalNamespace(inum, "SIGKILL");
  }
}

async function areGone(inum: number): Promise<boolean> {
  for (const deadline = performance.now() + GRACE; performance.now() < deadline; await sleep(PAUSE)) {
    if (namespaceProcesses(inum).length === 0) return true;
  }
  return false;
}
