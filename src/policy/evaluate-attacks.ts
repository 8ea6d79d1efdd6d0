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
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;

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
  if (direction === "ingress") return state.addresses.has(packet.sender) ? "ArpSpoofing" : null;
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
  if (attacks.includes("ip-spoofing") && !isOwnSource(state, packet)) return "IpSpoofing";
  if (attacks.includes("ndp-spoofing") && isForgedNeighbour(state, packet)) return "NdpSpoofing";
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
  if (packet.protocol !== PROTOCOL_NUMBERS.icmpv6 || packet.family !== "ipv6" || packet.icmp === null) return false;
  if (packet.icmp.type < ND_FIRST || packet.icmp.type > ND_LAST) return false;
  if (direction === "egress") return state.addresses.has(packet.source) || packet.source === UNSPECIFIED_IPV6;
  return state.addresses.has(packet.destination) || isLinkMulticast(packet.destination);
}

function isOwnSource(state: WorkloadState, packet: IpPacket): boolean {
  if (state.addresses.has(packet.source)) return true;
  if (packet.family === "ipv6") {
    return packet.source === UNSPECIFIED_IPV6 && packet.protocol === PROTOCOL_NUMBERS.icmpv6;
  }
  return (
    packet.source === UNSPECIFIED_IPV4 &&
    packet.destination === BROADCAST_IPV4 &&
    packet.protocol === PROTOCOL_NUMBERS.udp &&
    packet.sourcePort === DHCP_CLIENT &&
    packet.destinationPort === DHCP_SERVER
  );
}

/** A solicitation from somebody else's address, or an advertisement of one. */
function isForgedNeighbour(state: WorkloadState, packet: IpPacket): boolean {
  if (packet.protocol !== PROTOCOL_NUMBERS.icmpv6 || packet.family !== "ipv6" || packet.icmp === null) return false;
  const { type } = packet.icmp;
  if (type !== NEIGHBOUR_SOLICITATION && type !== NEIGHBOUR_ADVERTISEMENT) return false;
  if (!state.addresses.has(packet.source) && packet.source !== UNSPECIFIED_IPV6) return true;
  if (type === NEIGHBOUR_SOLICITATION) return false;
  const target = ndTarget(packet);
  return target === null || !state.addresses.has(target);
}

/** The address that a solicitation or advertisement is about: the first 16 bytes behind the ICMPv6 header. */
function ndTarget(packet: IpPacket): Address | null {
  return packet.payload.length < 16 ? null : bytesToNumber(packet.payload.subarray(0, 16));
}

/** ff02::/16, by which neighbours ask and routers announce themselves. */
function isLinkMulticast(address: Address): boolean {
  return address >> 112n === 0xff02n;
}
