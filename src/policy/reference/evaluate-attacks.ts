/** Attacks that a profile may list (docs/profiles.md, Attacks). The workload's kernel is the origin of none. */
import type { Reason } from "../../api/reasons.ts";
import type { Attack } from "../../api/types.ts";
import type { ArpPacket, IpPacket } from "../packet/packet.ts";
import { type Address, mapIpv4 } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import { bytesToNumber } from "../table/prefixes.ts";
import { icmpv6Type, isNeighbourDiscovery, ND } from "./link-control.ts";
import { isFromKernel, type Sender } from "./provenance.ts";
import type { EvaluatorState } from "./state.ts";

/** ICMPv6 types. */
const REDIRECT = 137;
const MULTICAST_REPORT = 143;

const UNSPECIFIED_IPV4 = mapIpv4(0n);
const UNSPECIFIED_IPV6 = 0n;
const BROADCAST_IPV4 = mapIpv4(0xffff_ffffn);
const DHCP_CLIENT = 68;
const DHCP_SERVER = 67;

/** ARP whose sender is not the workload itself, or that claims one of its addresses from outside. */
export function arpAttack(attacks: Attack[], state: EvaluatorState, packet: ArpPacket, sender: Sender): Reason | null {
  if (!attacks.includes("arp-spoofing") || isFromKernel(sender, packet)) return null;
  // Its own announcements may come back to it.
  if (sender.direction === "ingress") {
    return state.addresses.has(packet.sender) && !state.macs.has(packet.senderMac) ? "ArpSpoofing" : null;
  }
  const ownMac = state.macs.has(packet.senderMac) && packet.ethernetSource === packet.senderMac;
  // A probe for duplicates has no sender address yet (RFC 5227).
  const ownAddress = state.addresses.has(packet.sender) || packet.sender === UNSPECIFIED_IPV4;
  return ownMac && ownAddress ? null : "ArpSpoofing";
}

/** What a workload sends under an address that is not its own. */
export function ipAttack(attacks: Attack[], state: EvaluatorState, packet: IpPacket, sender: Sender): Reason | null {
  if (sender.direction === "ingress" || isFromKernel(sender, packet)) return null;
  if (attacks.includes("ndp-spoofing") && isForgedNeighbour(state, packet)) return "NdpSpoofing";
  if (attacks.includes("ip-spoofing") && !isOwnSource(state, packet)) return "IpSpoofing";
  return null;
}

/** A host that has no address yet may send discovery, multicast reports (RFC 3810) and DHCP without one. */
function isOwnSource(state: EvaluatorState, packet: IpPacket): boolean {
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
function isForgedNeighbour(state: EvaluatorState, packet: IpPacket): boolean {
  const type = icmpv6Type(packet);
  if (type === ND.routerAdvertisement || type === REDIRECT) return true;
  if (type !== ND.solicitation && type !== ND.advertisement) return false;
  if (!state.addresses.has(packet.source) && packet.source !== UNSPECIFIED_IPV6) return true;
  if (type === ND.solicitation) return false;
  const target = ndTarget(packet);
  return target === null || !state.addresses.has(target);
}

/** The address that a solicitation or advertisement is about: the first 16 bytes behind the ICMPv6 header. */
function ndTarget(packet: IpPacket): Address | null {
  return packet.payload.length < 16 ? null : bytesToNumber(packet.payload.subarray(0, 16));
}
