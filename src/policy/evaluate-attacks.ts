/** Attacks that a profile may list (section 8 of the contract), and neighbour discovery for the workload's own addresses. */
import type { Direction, Reason } from "../api/reasons.ts";
import type { Attack } from "../api/types.ts";
import { type Address, mapIpv4 } from "./addresses.ts";
import type { ArpPacket, IpPacket } from "./packet.ts";
import { PROTOCOL_NUMBERS } from "./ports.ts";
import { bytesToNumber } from "./prefixes.ts";
import type { WorkloadState } from "./state.ts";

/** ICMPv6 types, RFC 4861: router solicitation (133) and advertisement, neighbour solicitation and advertisement (136). */
const ND_FIRST = 133;
const ND_LAST = 136;
const ROUTER_ADVERTISEMENT = 134;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const REDIRECT = 137;
const MULTICAST_REPORT = 143;

const UNSPECIFIED_IPV4 = mapIpv4(0n);
const UNSPECIFIED_IPV6 = 0n;
const BROADCAST_IPV4 = mapIpv4(0xffff_ffffn);
const DHCP_CLIENT = 68;
const DHCP_SERVER = 67;

/** ARP whose sender is not the workload itself, or that claims one of its addresses from outside. */
export function arpAttack(
  attacks: Attack[],
  state: WorkloadState,
  packet: ArpPacket,
  direction: Direction,
): Reason | null {
  if (!attacks.includes("arp-spoofing")) return null;
  // Its own announcements may come back to it.
  if (direction === "ingress") {
    return state.addresses.has(packet.sender) && packet.senderMac !== state.mac ? "ArpSpoofing" : null;
  }
  const ownMac = packet.senderMac === state.mac && packet.ethernetSource === packet.senderMac;
  // A probe for duplicates has no sender address yet (RFC 5227).
  const ownAddress = state.addresses.has(packet.sender) || packet.sender === UNSPECIFIED_IPV4;
  return ownMac && ownAddress ? null : "ArpSpoofing";
}

/** What a workload sends under an address that is not its own. */
export function ipAttack(
  attacks: Attack[],
  state: WorkloadState,
  packet: IpPacket,
  direction: Direction,
): Reason | null {
  if (direction === "ingress") return null;
  if (attacks.includes("ndp-spoofing") && isForgedNeighbour(state, packet)) return "NdpSpoofing";
  if (attacks.includes("ip-spoofing") && !isOwnSource(state, packet)) return "IpSpoofing";
  return null;
}

/** ARP about the workload itself: what it sends under, or asks about, its own address, and what asks for or answers it. */
export function isOwnArp(state: WorkloadState, packet: ArpPacket, direction: Direction): boolean {
  if (direction === "ingress") return state.addresses.has(packet.target);
  if (packet.sender === UNSPECIFIED_IPV4) return state.addresses.has(packet.target);
  return state.addresses.has(packet.sender);
}

/** Neighbour discovery from the workload's own (or no) address, or to it. */
export function isOwnNeighbourDiscovery(state: WorkloadState, packet: IpPacket, direction: Direction): boolean {
  if (!isNeighbourDiscovery(packet)) return false;
  if (direction === "egress") return state.addresses.has(packet.source) || packet.source === UNSPECIFIED_IPV6;
  return state.addresses.has(packet.destination) || isLinkMulticast(packet.destination);
}

/** A host that has no address yet may send discovery, multicast reports (RFC 3810) and DHCP without one. */
function isOwnSource(state: WorkloadState, packet: IpPacket): boolean {
  if (state.addresses.has(packet.source)) return true;
  if (packet.family === "ipv6") {
    const isReport = icmpv6Type(packet) === MULTICAST_REPORT;
    return packet.source === UNSPECIFIED_IPV6 && (isNeighbourDiscovery(packet) || isReport);
  }
  return (
    packet.source === UNSPECIFIED_IPV4 &&
    packet.destination === BROADCAST_IPV4 &&
    packet.protocol === PROTOCOL_NUMBERS.udp &&
    packet.sourcePort === DHCP_CLIENT &&
    packet.destinationPort === DHCP_SERVER
  );
}

/** What only routers say, a solicitation or advertisement from somebody else's address, or an advertisement of one. */
function isForgedNeighbour(state: WorkloadState, packet: IpPacket): boolean {
  const type = icmpv6Type(packet);
  if (type === ROUTER_ADVERTISEMENT || type === REDIRECT) return true;
  if (type !== NEIGHBOUR_SOLICITATION && type !== NEIGHBOUR_ADVERTISEMENT) return false;
  if (!state.addresses.has(packet.source) && packet.source !== UNSPECIFIED_IPV6) return true;
  if (type === NEIGHBOUR_SOLICITATION) return false;
  const target = ndTarget(packet);
  return target === null || !state.addresses.has(target);
}

function isNeighbourDiscovery(packet: IpPacket): boolean {
  const type = icmpv6Type(packet);
  return type !== null && type >= ND_FIRST && type <= ND_LAST;
}

/** Null for everything but ICMPv6; protocol 58 inside IPv4 is not ICMPv6. */
function icmpv6Type(packet: IpPacket): number | null {
  return packet.family === "ipv6" && packet.protocol === PROTOCOL_NUMBERS.icmpv6 ? (packet.icmp?.type ?? null) : null;
}

/** The address that a solicitation or advertisement is about: the first 16 bytes behind the ICMPv6 header. */
function ndTarget(packet: IpPacket): Address | null {
  return packet.payload.length < 16 ? null : bytesToNumber(packet.payload.subarray(0, 16));
}

/** ff02::/16, by which neighbours ask and routers announce themselves. */
function isLinkMulticast(address: Address): boolean {
  return address >> 112n === 0xff02n;
}
