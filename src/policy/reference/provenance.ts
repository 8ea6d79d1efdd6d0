/** Who has made a packet: what a process sends, and what the workload's kernel sends by itself. */
import type { Direction } from "../../api/reasons.ts";
import { type ArpPacket, type IpPacket, TCP_FLAGS } from "../packet/packet.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import type { Subject } from "../table/subject.ts";
import type { SocketFacts } from "./flows.ts";
import type { Flow } from "./state.ts";

/** What is known of a packet's sender. */
export interface Sender {
  direction: Direction;
  subjects: Subject[];
  socket: SocketFacts;
}

/**
 * The kernel sends by control sockets of its own; without any socket it sends ARP, IGMP, and TCP segments with nothing in
 * them. Forged segments come without a socket too, but always with payload.
 */
export function isFromKernel({ direction, subjects, socket }: Sender, packet: ArpPacket | IpPacket): boolean {
  if (direction === "ingress" || subjects.length > 0) return false;
  if (socket.kernel) return true;
  if (!socket.none) return false;
  return packet.kind === "arp" || isBareTcp(packet) || isIgmp(packet);
}

/** A bare segment, or an echo reply, that the kernel sends within a process's flow. */
export function isKernelReply(sender: Sender, packet: IpPacket): boolean {
  const isIcmp = packet.protocol === PROTOCOL_NUMBERS.icmp || packet.protocol === PROTOCOL_NUMBERS.icmpv6;
  return isFromKernel(sender, packet) && (isBareTcp(packet) || isIcmp);
}

/**
 * The answer to a SYN of which the kernel keeps nothing but a cookie comes without a socket. It holds nothing, and belongs to
 * the known flow that the SYN has begun and nothing else has answered.
 */
export function isCookieAnswer({ direction, subjects, socket }: Sender, packet: IpPacket, known: Flow): boolean {
  const { tcp, payload, fragment } = packet;
  const { syn, ack, fin, rst } = TCP_FLAGS;
  const isAnswer = tcp !== null && (tcp.flags & (syn | ack | fin | rst)) === (syn | ack);
  const isAlone = direction === "egress" && subjects.length === 0 && socket.none === true;
  const isBare = payload.length === 0 && fragment === null;
  return isAlone && isAnswer && isBare && known.direction === "ingress" && known.socket === null;
}

/** Of an IPv4 packet; in IPv6 the number means nothing. */
export function isIgmp({ family, protocol }: IpPacket): boolean {
  return family === "ipv4" && protocol === PROTOCOL_NUMBERS.igmp;
}

/** A reset, an acknowledgement, or the end of a connection. */
export function isBareTcp({ tcp, payload, fragment }: IpPacket): boolean {
  return tcp !== null && fragment === null && (tcp.flags & TCP_FLAGS.syn) === 0 && payload.length === 0;
}
