/**
 * What a host says and hears to be on its link at all: ARP, neighbour discovery (RFC 4861) and group membership (RFC 2710, 3810,
 * 3376). Where no profile gives a `default`, it passes if the kernel says it, or a neighbour does.
 */

import type { ArpPacket, IpPacket } from "../packet/packet.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import type { RuleTable } from "../table/tables.ts";
import { isFromKernel, isIgmp, type Sender } from "./provenance.ts";
import type { EvaluatorState } from "./state.ts";

/** ICMPv6 types. */
export const ND = { routerSolicitation: 133, routerAdvertisement: 134, solicitation: 135, advertisement: 136 } as const;
const MLD_QUERY = 130;
const MLD_REPORTS = [131, 132, 143];
const IGMP_QUERY = 0x11;
const ARP_REQUEST = 1;

/** Length before the options, RFC 4861, 4.1 to 4.4. */
const ND_LENGTHS: ReadonlyMap<number, number> = new Map([
  [ND.routerSolicitation, 8],
  [ND.routerAdvertisement, 16],
  [ND.solicitation, 24],
  [ND.advertisement, 24],
]);
const ND_OPTIONS_MAX = 32;
/** A router would have lowered it: RFC 4861, 7.1. */
const HOP_LIMIT_ON_LINK = 255;
const HOP_LIMIT_MEMBERSHIP = 1;
/** The smallest MTU of IPv6. */
const LENGTH_MAX = 1280;
/** Bytes of padding that bring an ARP message of 28 bytes to the shortest Ethernet frame. */
const ARP_PADDING_MAX = 18;

/** Whether an ARP message is as long as it says. What leaves is padded with zeros; network cards on the way do not always. */
export function isArpSound({ padding }: ArpPacket, { direction }: Sender): boolean {
  const isShort = padding.length <= ARP_PADDING_MAX;
  return isShort && (direction === "ingress" || padding.every((byte) => byte === 0));
}

/** ARP of the kernel; and requests, answers and announcements that it may hear. */
export function isLinkArp(state: EvaluatorState, packet: ArpPacket, sender: Sender): boolean {
  if (sender.direction === "egress") return isFromKernel(sender, packet);
  const isAnnouncement = packet.sender === packet.target;
  return packet.operation === ARP_REQUEST || isAnnouncement || state.addresses.has(packet.target);
}

/** Neighbour discovery and group membership, of the kernel or from the link. */
export function isLinkControl(table: RuleTable, packet: IpPacket, sender: Sender): boolean {
  if (sender.direction === "egress" && !isFromKernel(sender, packet)) return false;
  if (isNeighbourDiscovery(packet)) return isDiscoverySound(packet);
  if (icmpv6Type(packet) !== null) return isMld(packet, sender);
  return isIgmp(packet) && joinsGroups(table) && isIgmpMembership(packet, sender);
}

/** Router and neighbour solicitations and advertisements. */
export function isNeighbourDiscovery(packet: IpPacket): boolean {
  return ND_LENGTHS.has(icmpv6Type(packet) ?? 0);
}

/** Null for everything but ICMPv6; protocol 58 inside IPv4 is not ICMPv6. */
export function icmpv6Type(packet: IpPacket): number | null {
  return packet.family === "ipv6" && packet.protocol === PROTOCOL_NUMBERS.icmpv6 ? (packet.icmp?.type ?? null) : null;
}

/** Whether a process of the table may speak IGMP: then the kernel says for it which groups it is in. */
export function joinsGroups({ binaries }: Pick<RuleTable, "binaries">): boolean {
  const isIgmpRule = (protocol: number | null) => protocol === null || protocol === PROTOCOL_NUMBERS.igmp;
  return binaries.some(({ egress }) => egress.ports.some(({ protocol }) => isIgmpRule(protocol)));
}

function isDiscoverySound(packet: IpPacket): boolean {
  const { hopLimit, icmp, fragment, length } = packet;
  if (hopLimit !== HOP_LIMIT_ON_LINK || icmp?.code !== 0 || fragment !== null || length > LENGTH_MAX) return false;
  const headerLength = (ND_LENGTHS.get(icmp.type) as number) - 8;
  return packet.payload.length >= headerLength && areOptionsSound(packet.payload.subarray(headerLength));
}

/** They fill the message to its end: type, then length in units of 8 bytes, never 0 (RFC 4861, 4.6). */
function areOptionsSound(options: Uint8Array): boolean {
  let offset = 0;
  for (let count = 0; count < ND_OPTIONS_MAX && offset < options.length; count += 1) {
    const units = options[offset + 1] ?? 0;
    if (units === 0) return false;
    offset += units * 8;
  }
  return offset === options.length;
}

function isMld(packet: IpPacket, { direction }: Sender): boolean {
  const { icmp, length } = packet;
  if (icmp?.code !== 0 || !isToGroup(packet)) return false;
  return direction === "egress" ? MLD_REPORTS.includes(icmp.type) : icmp.type === MLD_QUERY && length <= LENGTH_MAX;
}

function isIgmpMembership(packet: IpPacket, { direction }: Sender): boolean {
  if (!isToGroup(packet)) return false;
  return direction === "egress" || (packet.payload[0] === IGMP_QUERY && packet.length <= LENGTH_MAX);
}

/** To a multicast address, and not beyond the link. */
function isToGroup({ hopLimit, fragment, destination, family }: IpPacket): boolean {
  const isMulticast = family === "ipv6" ? destination >> 120n === 0xffn : ((destination >> 28n) & 0xfn) === 0xen;
  return hopLimit === HOP_LIMIT_MEMBERSHIP && fragment === null && isMulticast;
}
