/** What has left a workload, and what has made it leave. */
import type { IpPacket, Packet } from "../../src/policy/packet/packet.ts";
import { parsePacket } from "../../src/policy/packet/packet-parser.ts";
import type { Exit, Socket } from "../../src/policy/reference/sockets.ts";

/** Whether a step by which a socket sends has made this packet leave. */
export function isSentBy({ kind, protocol, family, localPort, remote, remotePort }: Socket, packet: IpPacket): boolean {
  if (family !== packet.family) return false;
  // What it wrote itself: the kernel speaks for it about groups and neighbours only.
  if (kind === "raw") return protocol === packet.protocol || family === "ipv4";
  const isOfPeer = remote === null || (remote === packet.destination && remotePort === packet.destinationPort);
  return protocol === packet.protocol && localPort === packet.sourcePort && isOfPeer;
}

export function haveSameEnds(one: IpPacket, other: IpPacket): boolean {
  return (
    one.protocol === other.protocol &&
    one.source === other.source &&
    one.destination === other.destination &&
    one.sourcePort === other.sourcePort &&
    one.destinationPort === other.destinationPort
  );
}

export function isForged(exit: Exit): boolean {
  return exit === "nothing" ? false : typeof exit !== "string" && (exit.kind === "packet" || exit.kind === "raw");
}

/** @param gsoSize of the pieces that it stands for; 0: it stands for itself */
export function parseCaptured(bytes: Buffer, gsoSize: number): Packet {
  const whole = parsePacket(bytes);
  if (gsoSize === 0 || whole.kind !== "ip") return whole;
  return parsePacket(bytes, Math.ceil(whole.payload.length / gsoSize), gsoSize);
}
