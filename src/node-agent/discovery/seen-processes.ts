/** What the processes of network namespaces are seen to have, by way of /proc alone: no file of theirs is touched. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { causeCode } from "../../api/errors.ts";
import type { SeenProcess } from "../../api/pods/weaknesses.ts";
import { parseMountInfo } from "../foreign-files/overlay.ts";
import { processNetns } from "./pods/pod-processes.ts";

/** Of mountinfo: the root is among the first. */
const MOUNTINFO_HEAD = 65_536;
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ESRCH", "EACCES", "EINVAL"]);

/** Those in these network namespaces, by their inode numbers. */
export function seenProcesses(namespaces: ReadonlySet<number>): Map<number, SeenProcess[]> {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const found = new Map<number, SeenProcess[]>();
  for (const pid of pids.map(Number)) {
    const netns = processNetns(pid);
    if (netns === null || !namespaces.has(netns)) continue;
    const seen = seenProcess(pid);
    if (seen !== null) found.set(netns, [...(found.get(netns) ?? []), seen]);
  }
  return found;
}

/** Null once it has ended. */
function seenProcess(pid: number): SeenProcess | null {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const capabilities = /^CapEff:\t([0-9a-f]+)$/m.exec(status)?.[1];
    const seccomp = /^Seccomp:\t(\d)$/m.exec(status)?.[1];
    if (capabilities === undefined || seccomp === undefined) return null;
    return { capabilities: BigInt(`0x${capabilities}`), seccomp: Number(seccomp), rootType: rootType(pid) };
  } catch (cause) {
    if (GONE.has(causeCode(cause) ?? "")) return null;
    throw cause;
  }
}

/** Type of the file system that is mounted at `/`; null where none is, as in a plain chroot. */
function rootType(pid: number): string | null {
  const file = openSync(`/proc/${pid}/mountinfo`, "r");
  try {
    const head = Buffer.alloc(MOUNTINFO_HEAD);
    let length = 0;
    for (let read = -1; read !== 0 && length < head.length; length += read) {
      read = readSync(file, head, length, head.length - length, null);
    }
    const mounts = parseMountInfo(head.toString("utf8", 0, length));
    return mounts.findLast(({ mountPoint }) => mountPoint === "/")?.type ?? null;
  } finally {
    closeSync(file);
  }
}
