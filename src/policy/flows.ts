/** Which flow a packet belongs to, and who began it. */
import type { Direction } from "../api/reasons.ts";
import { type Address, formatIp } from "./addresses.ts";
import { type IpPacket, TCP_FLAGS } from "./packet.ts";
import { parseIpv4, parseIpv6 } from "./packet-ip.ts";
import { PROTOCOL_NUMBERS } from "./ports.ts";
import type { EvaluatorSettings } from "./state.ts";

/** ICMP types that carry an identifier of their own exchange: echo reply (0) and request (8); ICMPv6: 128 and 129. */
const ECHO_TYPES = { ipv4: [0, 8], ipv6: [129, 128] } as const;
/** Errors about a packet: unreachable, time exceeded, parameter problem; ICMPv6 also packet too big. A redirect is none. */
const ERROR_TYPES = { ipv4: [3, 11, 12], ipv6: [1, 2, 3, 4] } as const;

/** A packet's ends from the workload's point of view. */
export interface Tuple {
  protocol: number;
  local: Address;
  remote: Address;
  localPort: number;
  remotePort: number;
}

/** The ends of a packet that goes in `direction`. For ICMP echo both ports are the identifier. */
export function tupleOf(packet: IpPacket, direction: Direction): Tuple {
  const identifier = isEcho(packet) ? (packet.icmp?.identifier ?? 0) : 0;
  const from = { address: packet.source, port: identifier || packet.sourcePort };
  const to = { address: packet.destination, port: identifier || packet.destinationPort };
  const [local, remote] = direction === "egress" ? [from, to] : [to, from];
  return {
    protocol: packet.protocol,
    local: local.address,
    remote: remote.address,
    localPort: local.port,
    remotePort: remote.port,
  };
}

export function flowKeyOf({ protocol, local, remote, localPort, remotePort }: Tuple): string {
  return `${protocol} ${formatIp(local)} ${localPort} ${formatIp(remote)} ${remotePort}`;
}

/** The port that rules are about: remote for flows that the workload began, its own for the others. */
export function servicePort(tuple: Tuple, initiator: Direction): number {
  const hasPorts = tuple.protocol !== PROTOCOL_NUMBERS.icmp && tuple.protocol !== PROTOCOL_NUMBERS.icmpv6;
  if (!hasPorts) return 0;
  return initiator === "egress" ? tuple.remotePort : tuple.localPort;
}

/** Whether every message of the flow is parsed as DNS. */
export function isDnsFlow(tuple: Tuple, initiator: Direction, settings: EvaluatorSettings): boolean {
  const transports: number[] = [PROTOCOL_NUMBERS.udp, PROTOCOL_NUMBERS.tcp];
  return transports.includes(tuple.protocol) && settings.dnsPorts.includes(servicePort(tuple, initiator));
}

/** A SYN without ACK begins a connection anew, whatever was there under its ports. */
export function beginsConnection(packet: IpPacket): boolean {
  return packet.tcp !== null && (packet.tcp.flags & (TCP_FLAGS.syn | TCP_FLAGS.ack)) === TCP_FLAGS.syn;
}

/**
 * Who began the flow of a packet that belongs to no known one. A SYN with ACK answers; a TCP segment from the middle of a
 * connection is of the side that its socket says (`accepted`: the remote side began).
 */
export function initiatorOf(packet: IpPacket, direction: Direction, accepted: boolean): Direction {
  if (packet.tcp === null || beginsConnection(packet)) return direction;
  if ((packet.tcp.flags & TCP_FLAGS.syn) !== 0) return opposite(direction);
  return accepted ? "ingress" : direction;
}

/**
 * The flow that an ICMP error is about, from the packet that it quotes: one that went the other way.
 * Null if the packet is no such error, or quotes too little.
 */
export function relatedTuple(packet: IpPacket, direction: Direction): Tuple | null {
  if (packet.icmp === null || packet.fragment !== null) return null;
  const isIpv4 = packet.family === "ipv4";
  if (packet.protocol !== (isIpv4 ? PROTOCOL_NUMBERS.icmp : PROTOCOL_NUMBERS.icmpv6)) return null;
  const errors: readonly number[] = ERROR_TYPES[packet.family];
  if (!errors.includes(packet.icmp.type)) return null;
  const quoted = quotedPacket(packet.payload, isIpv4);
  return quoted && tupleOf(quoted, opposite(direction));
}

export function opposite(direction: Direction): Direction {
  return direction === "egress" ? "ingress" : "egress";
}

function isEcho(packet: IpPacket): boolean {
  if (packet.icmp === null) return false;
  const types: readonly number[] = ECHO_TYPES[packet.family];
  return types.includes(packet.icmp.type);
}

/** A quoted packet is usually cut off: its lengths are set to what is there, which is enough for addresses and ports. */
function quotedPacket(payload: Uint8Array, isIpv4: boolean): IpPacket | null {
  const headerLength = isIpv4 ? ((payload[0] ?? 0) & 0x0f) * 4 : 40;
  if (payload.length < headerLength + 8) return null;
  // Room for a whole TCP header without options, of which only the ports are read.
  const copy = new Uint8Array(Math.max(payload.length, headerLength + 20));
  copy.set(payload);
  const length = isIpv4 ? copy.length : copy.length - headerLength;
  copy.set([length >> 8, length & 0xff], isIpv4 ? 2 : 4);
  normalizeTransport(copy, headerLength, copy[isIpv4 ? 9 : 6] as number);
  const quoted = isIpv4 ? parseIpv4(copy) : parseIpv6(copy);
  return quoted.kind === "ip" && quoted.fragment?.part !== "later" ? quoted : null;
}

/** Sets the length fields of a quoted transport header so that it reads as whole. */
function normalizeTransport(bytes: Uint8Array, offset: number, protocol: number): void {
  if (protocol === PROTOCOL_NUMBERS.tcp) bytes[offset + 12] = 5 << 4;
  if (protocol === PROTOCOL_NUMBERS.udp) bytes.set([0, 8], offset + 4);
}
