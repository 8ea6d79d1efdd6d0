/** The workload's sockets: which processes their packets belong to, and which one would receive a packet that comes in. */

import type { IpPacket, Packet } from "../packet/packet.ts";
import type { Address } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import type { Family } from "../table/prefixes.ts";
import type { Subject } from "../table/subject.ts";
import type { SocketFacts } from "./flows.ts";

export interface Socket {
  /** Tells sockets apart. A half-open connection has the one that its socket will have. */
  id: string;
  /** `packet`: AF_PACKET, which belongs to nobody. `half-open`: a listener's, until its handshake is complete. */
  kind: "listener" | "half-open" | "stream" | "datagram" | "raw" | "packet";
  family: Family;
  /** What it receives; of a raw socket, the protocol that it was made for. */
  protocol: number;
  /** Null: any of the workload's. */
  local: Address | null;
  localPort: number;
  /** Null: it is not connected. */
  remote: Address | null;
  remotePort: number;
  /** A listener's child: the remote side began. */
  accepted: boolean;
  /** Its owners: who made it, and who used it last. */
  creator: Subject;
  user: Subject;
  /** Who used it before, if what he wrote is still to leave. */
  former: Subject | null;
}

/** By what a packet leaves: one of the workload's sockets, a control socket of its kernel, or none at all. */
export type Exit = Socket | "kernel" | "nothing";

/** What a socket tells of its packets. */
export interface SocketContext {
  subjects: Subject[];
  socket: SocketFacts;
}

/** Of all of the kernel's control sockets. */
const KERNEL_SOCKET: SocketFacts = { id: "kernel", kernel: true };
/** Of what has none, and of what nobody receives. */
const NO_SOCKET: SocketFacts = { id: "none", none: true };

/** Which process a packet that leaves belongs to: its socket's. No address and no port makes it somebody's. */
export function senderOf(exit: Exit, spoken = false): SocketContext {
  if (exit === "kernel") return { subjects: [], socket: KERNEL_SOCKET };
  if (exit === "nothing") return { subjects: [], socket: NO_SOCKET };
  return contextOf(exit, spoken);
}

/** Of a packet that comes in: of the socket that would receive it. */
export function receiverOf(sockets: readonly Socket[], packet: Packet, spoken = false): SocketContext {
  const found = packet.kind === "ip" ? findReceiver(sockets, packet) : null;
  return found === null ? { subjects: [], socket: { id: "none" } } : contextOf(found, spoken);
}

export function contextOf(socket: Socket, spoken = false): SocketContext {
  const { id, kind, accepted, remotePort, former } = socket;
  if (kind === "packet") return { subjects: [], socket: { id } };
  return {
    subjects: ownersOf(socket),
    socket: {
      id,
      accepted,
      // The listener stands for a half-open connection, and has no peer.
      connected: kind !== "half-open" && remotePort !== 0,
      spoken,
      ...(former === null ? {} : { former }),
    },
  };
}

/** Its user, and its creator if that is somebody else. */
export function ownersOf({ user, creator }: Socket): Subject[] {
  return isSameSubject(user, creator) ? [user] : [user, creator];
}

export function isSameSubject(one: Subject, other: Subject): boolean {
  return (
    one.path === other.path &&
    one.script === other.script &&
    one.container === other.container &&
    one.modified === other.modified
  );
}

/**
 * The stream or datagram socket that the kernel gives a packet to, which goes to one alone: the one that names most of its
 * ends, and of equals the one that was bound last. @param sockets in the order in which they were bound
 */
export function findReceiver(sockets: readonly Socket[], packet: IpPacket): Socket | null {
  let best: { socket: Socket; score: number } | null = null;
  for (const socket of [...sockets].reverse()) {
    const score = scoreOf(socket, packet);
    if (score !== null && (best === null || score > best.score)) best = { socket, score };
  }
  return best?.socket ?? null;
}

/** Null: not for this socket. A connection comes before a listener, and an address of its own before any. */
function scoreOf(socket: Socket, packet: IpPacket): number | null {
  const { kind, local, localPort, remote, remotePort } = socket;
  const wanted = packet.protocol === PROTOCOL_NUMBERS.tcp ? ["listener", "half-open", "stream"] : ["datagram"];
  if (!wanted.includes(kind) || socket.family !== packet.family || socket.protocol !== packet.protocol) return null;
  if (localPort !== packet.destinationPort) return null;
  if (local !== null && local !== packet.destination) return null;
  if (remote !== null && (remote !== packet.source || remotePort !== packet.sourcePort)) return null;
  return (remote === null ? 0 : 2) + (local === null ? 0 : 1);
}

/** Whether a datagram for a group is for this socket too. */
export function isMember(socket: Socket, packet: IpPacket): boolean {
  return socket.kind === "datagram" && scoreOf(socket, packet) !== null;
}

/** Whether a raw socket gets its copy of a packet that comes in. */
export function listensAlong(socket: Socket, packet: IpPacket): boolean {
  const { kind, family, protocol, local, remote } = socket;
  return (
    kind === "raw" &&
    family === packet.family &&
    protocol === packet.protocol &&
    (local === null || local === packet.destination) &&
    (remote === null || remote === packet.source)
  );
}
