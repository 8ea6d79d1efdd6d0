/**
 * Sockets that are older than the agent, on kernels whose iterators cannot reach them (before 5.11): found through
 * /proc, and given their owners by a descriptor of one's own for each. What the iterators of bpf/sockets.bpf.c do,
 * only slower; and sockets of a process whose first thread has ended are out of reach: they stay without an owner, so
 * `default` judges them.
 */
import { fstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";
import { type Actor, type Process, SocketFlag, type SocketOwner, UID_UNKNOWN } from "../../../gen/abi.gen.ts";
import {
  describeInternetSocket,
  openProcess,
  type SocketDescription,
  takeDescriptor,
} from "../../ffi/foreign-sockets.ts";
import { closeFd } from "../../ffi/libc.ts";

export interface OlderSocketParts {
  /** The entry of a process in `processes`. */
  process(tgid: number): Process | undefined;
  /** Of the processes of a lineage; see bpf/include/memory/epoch.h. */
  epoch(lineage: number): bigint;
  /** Stores the owner of the socket behind a descriptor; false if it has one. */
  addOwner(fd: number, owner: SocketOwner): boolean;
}

interface FoundSocket {
  tgid: number;
  /** Its number in that process. */
  descriptor: number;
  inode: number;
  description: SocketDescription;
}

const PROTOCOL_TCP = 6;

/**
 * Gives every IPv4 and IPv6 socket without an owner the first process that has it open. The hooks must be attached
 * and `processes` filled: what they have written is never replaced.
 * @returns how many sockets have got an owner
 */
export function adoptOlderSockets(parts: OlderSocketParts): number {
  const sockets = findSockets();
  const listeners = new Set(sockets.filter(({ description }) => description.listens).map(portOf));
  return sockets.filter((socket) => adopt(socket, listeners.has(portOf(socket)), parts)).length;
}

/** A connected socket on a port that somebody listens on was accepted there. */
function portOf({ description: { netnsInum, localPort } }: FoundSocket): string {
  return `${netnsInum} ${localPort}`;
}

function findSockets(): FoundSocket[] {
  const seen = new Set<number>();
  const pids = namesIn("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).flatMap((tgid) => socketsOf(tgid, seen));
}

function socketsOf(tgid: number, seen: Set<number>): FoundSocket[] {
  const folder = `/proc/${tgid}/fd`;
  return namesIn(folder).flatMap((name) => {
    const inode = Number(/^socket:\[(\d+)\]$/.exec(linkAt(`${folder}/${name}`))?.[1] ?? 0);
    if (inode === 0 || seen.has(inode)) return [];
    seen.add(inode);
    const socket = { tgid, descriptor: Number(name), inode };
    const description = withSocket(socket, () => true, describeInternetSocket);
    return description === null ? [] : [{ ...socket, description }];
  });
}

/** Processes end while they are looked at; then there is nothing. */
const ENDED = ["ENOENT", "ESRCH", "EACCES"];

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (ENDED.includes(causeCode(error) ?? "")) return [];
    throw error;
  }
}

function linkAt(path: string): string {
  return unlessEnded(() => readlinkSync(path));
}

function textOf(path: string): string {
  return unlessEnded(() => readFileSync(path, "utf8"));
}

/** Empty where the process has ended. */
function unlessEnded(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (ENDED.includes(causeCode(error) ?? "")) return "";
    throw error;
  }
}

/**
 * Calls `prepare` while it is certain which process the number means, and `use` with a descriptor of the socket. Null if
 * either has nothing to say, or the socket is gone.
 */
function withSocket<P, T>(
  { tgid, descriptor, inode }: { tgid: number; descriptor: number; inode: number },
  prepare: () => P | null,
  use: (fd: number, prepared: P) => T | null,
): T | null {
  const process = openProcess(tgid);
  if (process === null) return null;
  try {
    const prepared = prepare();
    // A process that has ended has no descriptors: if this one is there, the number has meant one process all along.
    const fd = prepared === null ? null : takeDescriptor(process, descriptor);
    if (prepared === null || fd === null) return null;
    try {
      return fstatSync(fd).ino === inode ? use(fd, prepared) : null;
    } finally {
      closeFd(fd);
    }
  } finally {
    closeFd(process);
  }
}

function adopt(socket: FoundSocket, onListenedPort: boolean, parts: OlderSocketParts): boolean {
  const owner = () => ownerOf(socket, onListenedPort, parts);
  return withSocket(socket, owner, (fd, value) => parts.addOwner(fd, value)) ?? false;
}

/** Null if nothing is known of the process: then nothing is better than a guess. */
function ownerOf(
  { tgid, description }: FoundSocket,
  onListenedPort: boolean,
  parts: OlderSocketParts,
): SocketOwner | null {
  const before = parts.process(tgid);
  if (before === undefined) return null;
  // Read first: an exec from here on begins another, which makes what is read now an old one.
  const epoch = parts.epoch(before.lineage);
  const process = parts.process(tgid);
  if (process === undefined || process.startTime !== before.startTime || process.lineage !== before.lineage)
    return null;
  const { protocol, connected, listens, netnsInum } = description;
  const accepted = protocol === PROTOCOL_TCP && connected && !listens && onListenedPort;
  const flags = SocketFlag.FOUND | (accepted ? SocketFlag.ACCEPTED : 0);
  const actor = actorOf(tgid, process);
  // The kernels that this is for do not tell the cookie: 0 stands for any.
  return {
    creator: actor,
    user: actor,
    former: actor,
    formerUntil: 0n,
    connected: 0n,
    epoch,
    flags,
    netnsInum,
    netnsCookie: 0n,
  };
}

function actorOf(tgid: number, { startTime, cgroupId, pathId, scriptId, flags, lineage, ancestry }: Process): Actor {
  return { startTime, cgroupId, tgid, pathId, scriptId, flags, lineage, ancestry, ...userOf(tgid) };
}

/** The effective user of a process, as the node has it, and as the process's own user namespace has it. */
function userOf(tgid: number): Pick<Actor, "kuid" | "uid"> {
  const kuid = Number(/^Uid:\s+\d+\s+(\d+)/m.exec(textOf(`/proc/${tgid}/status`))?.[1] ?? UID_UNKNOWN);
  const extents = textOf(`/proc/${tgid}/uid_map`)
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number, number]);
  const extent = extents.find(([, outside, count]) => kuid >= outside && kuid - outside < count);
  return { kuid, uid: extent === undefined ? UID_UNKNOWN : extent[0] + (kuid - extent[1]) };
}
