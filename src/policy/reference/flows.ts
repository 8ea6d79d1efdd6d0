/** Which flow a packet belongs to, and who began it. */
import type { Direction } from "../../api/reasons.ts";
import { type IpPacket, TCP_FLAGS } from "../packet/packet.ts";
import { behindExtensions } from "../packet/packet-ip.ts";
import { type Address, formatIp, isMapped, mapIpv4 } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import { bytesToNumber, type Family } from "../table/prefixes.ts";
import type { Subject } from "../table/subject.ts";
import type { EvaluatorSettings } from "./state.ts";

const { icmp: ICMP, icmpv6: ICMPV6, tcp: TCP, udp: UDP } = PROTOCOL_NUMBERS;

/** Echo messages by protocol: they carry an identifier, and are answered. */
const ECHO_TYPES = new Map<number, { request: number; reply: number }>([
  [ICMP, { request: 8, reply: 0 }],
  [ICMPV6, { request: 128, reply: 129 }],
]);

/** Errors about a packet: unreachable, time exceeded, parameter problem; ICMPv6 also packet too big. A redirect is none. */
const ICMP_ERRORS = {
  ipv4: { protocol: ICMP, types: [3, 11, 12] },
  ipv6: { protocol: ICMPV6, types: [1, 2, 3, 4] },
} as const satisfies Record<Family, { protocol: number; types: number[] }>;

/** What the socket of a packet tells, as far as there is one. A packet socket (AF_PACKET) tells nothing. */
export interface SocketFacts {
  /** True: the packet leaves without one. */
  none?: boolean;
  /** Tells sockets apart; where absent, those of one and the same process are not. */
  id?: string;
  /** Accepted from a listener, or the listener itself: the remote side began. */
  accepted?: boolean;
  /** It has a peer. */
  connected?: boolean;
  /** The connection's first payload has gone by, before the flow was known or since it was forgotten. */
  spoken?: boolean;
  /** When a datagram socket was connected to the packet's remote address: names that were good then still are. */
  connectedSince?: number;
  /** Who used it before, if what he wrote is still to leave: he is judged with what goes out. */
  former?: Subject;
  /** One of the kernel's control sockets, by which it resets connections, answers pings, and finds its neighbours. */
  kernel?: boolean;
}

/** A packet's ends from the workload's point of view; of ICMP echo, the identifier is the port of the side that asks. */
export interface Tuple {
  protocol: number;
  local: Address;
  remote: Address;
  localPort: number;
  remotePort: number;
}

/** What of a packet decides its flow; an `IpPacket`, or one that an ICMP error quotes. */
export interface Ends {
  source: Address;
  destination: Address;
  protocol: number;
  sourcePort: number;
  destinationPort: number;
  icmp: { type: number; identifier: number } | null;
}

/** Of a packet that an ICMP error quotes. */
export interface QuotedEnds extends Ends {
  /** Of its IP headers, in bytes. */
  headersLength: number;
}

/** The ends of a packet that goes in `direction`. */
export function tupleOf(packet: Ends, direction: Direction): Tuple {
  const { protocol } = packet;
  const echo = echoPorts(packet);
  const from = { address: packet.source, port: echo?.source ?? packet.sourcePort };
  const to = { address: packet.destination, port: echo?.destination ?? packet.destinationPort };
  const [local, remote] = direction === "egress" ? [from, to] : [to, from];
  return { protocol, local: local.address, remote: remote.address, localPort: local.port, remotePort: remote.port };
}

export function flowKeyOf({ protocol, local, remote, localPort, remotePort }: Tuple): string {
  return `${protocol} ${formatIp(local)} ${localPort} ${formatIp(remote)} ${remotePort}`;
}

/** ICMP that is no echo has no replies: every message is judged by itself. */
export function isStateful(packet: IpPacket): boolean {
  return echoPorts(packet) !== null || !ECHO_TYPES.has(packet.protocol);
}

/** The port that rules are about: remote for flows that the workload began, its own for the others. */
export function servicePort(tuple: Tuple, initiator: Direction): number {
  if (ECHO_TYPES.has(tuple.protocol)) return 0;
  return initiator === "egress" ? tuple.remotePort : tuple.localPort;
}

/** Whether every message of the flow is parsed as DNS. */
export function isDnsFlow(tuple: Tuple, initiator: Direction, settings: EvaluatorSettings): boolean {
  const hasMessages = tuple.protocol === UDP || tuple.protocol === TCP;
  return hasMessages && settings.dnsPorts.includes(servicePort(tuple, initiator));
}

/** A SYN without ACK begins a connection anew, whatever was there under its ports. */
export function beginsConnection(packet: IpPacket): boolean {
  return packet.tcp !== null && (packet.tcp.flags & (TCP_FLAGS.syn | TCP_FLAGS.ack)) === TCP_FLAGS.syn;
}

/** Who began a flow that is not known: the sender, unless TCP or the socket shows that the packet is an answer. */
export function initiatorOf(packet: IpPacket, direction: Direction, socket: SocketFacts): Direction {
  if (direction === "egress") {
    return packet.tcp !== null && !beginsConnection(packet) && socket.accepted ? "ingress" : "egress";
  }
  return beginsConnection(packet) || !socket.connected || socket.accepted ? "ingress" : "egress";
}

/** A datagram that every socket on its port gets that wants it. `own`: the addresses of the workload. */
export function isForGroup(packet: IpPacket, own: ReadonlySet<Address>): boolean {
  const { protocol, family, destination, toLinkGroup } = packet;
  if (protocol !== UDP) return false;
  if (family === "ipv6") return destination >> 120n === 0xffn;
  const ipv4 = destination & 0xffff_ffffn;
  return ipv4 >> 28n === 0xen || ipv4 === 0xffff_ffffn || (toLinkGroup && !own.has(destination));
}

export function isIcmpError(packet: IpPacket): boolean {
  const { protocol, types } = ICMP_ERRORS[packet.family];
  const errors: readonly number[] = types;
  return packet.protocol === protocol && packet.icmp !== null && errors.includes(packet.icmp.type);
}

/** The ends of the packet that an ICMP error quotes; null if it quotes too little, or a later fragment. */
export function quotedEnds(packet: IpPacket): QuotedEnds | null {
  return packet.family === "ipv4" ? quotedIpv4(packet.payload) : quotedIpv6(packet.payload);
}

function echoPorts({ protocol, icmp }: Ends): { source: number; destination: number } | null {
  const types = ECHO_TYPES.get(protocol);
  if (types === undefined || icmp === null) return null;
  if (icmp.type === types.request) return { source: icmp.identifier, destination: 0 };
  return icmp.type === types.reply ? { source: 0, destination: icmp.identifier } : null;
}

function quotedIpv4(bytes: Uint8Array): QuotedEnds | null {
  const headerLength = ((bytes[0] ?? 0) & 0x0f) * 4;
  if (bytes.length < 20 || (bytes[0] ?? 0) >> 4 !== 4 || headerLength < 20) return null;
  // What stands behind the header of a later fragment is not the ports.
  if (((bytes[6] as number) & 0x1f) !== 0 || bytes[7] !== 0) return null;
  const source = mapIpv4(bytesToNumber(bytes.subarray(12, 16)));
  const destination = mapIpv4(bytesToNumber(bytes.subarray(16, 20)));
  const ends = endsOf(source, destination, bytes[9] as number, bytes.subarray(headerLength));
  return ends && { ...ends, headersLength: headerLength };
}

function quotedIpv6(bytes: Uint8Array): QuotedEnds | null {
  if (bytes.length < 40 || (bytes[0] as number) >> 4 !== 6) return null;
  const source = bytesToNumber(bytes.subarray(8, 24));
  const destination = bytesToNumber(bytes.subarray(24, 40));
  if (isMapped(source) || isMapped(destination)) return null;
  const behind = behindExtensions(bytes[6] as number, bytes.subarray(40));
  const ends = behind && endsOf(source, destination, behind.protocol, behind.rest);
  return ends && { ...ends, headersLength: bytes.length - behind.rest.length };
}

/** The first 8 bytes behind the IP header are always quoted (RFC 792); they hold the ports, or an echo's identifier. */
function endsOf(source: Address, destination: Address, protocol: number, rest: Uint8Array): Ends | null {
  if (rest.length < 8) return null;
  const wordAt = (offset: number) => ((rest[offset] as number) << 8) | (rest[offset + 1] as number);
  const withPorts: number[] = [TCP, UDP, PROTOCOL_NUMBERS.sctp];
  const [sourcePort, destinationPort] = withPorts.includes(protocol) ? [wordAt(0), wordAt(2)] : [0, 0];
  const icmp = ECHO_TYPES.has(protocol) ? { type: rest[0] as number, identifier: wordAt(4) } : null;
  return { source, destination, protocol, sourcePort, destinationPort, icmp };
}
