/**
 * From the bytes of a frame to what rules judge. This is a second statement of the parsing rules, made
 * independently of bpf/include/packet/ip.h; fuzzing compares the two. Layouts: RFC 826 (ARP), 791, 8200, 9293, 768,
 * 792, 4443.
 */
import { mapIpv4 } from "../table/addresses.ts";
import { bytesToNumber } from "../table/prefixes.ts";
import { type ArpPacket, type BadPacket, ETHERTYPES, type IpPacket, type Packet } from "./packet.ts";
import { parseIpv4, parseIpv6 } from "./packet-ip.ts";

export const ETHERNET_LENGTH = 14;
const ARP_LENGTH = 28;
/** Ethernet hardware, IPv4 protocol, 6 and 4 bytes of address: the one ARP that there is. */
const ARP_FIXED_FIELDS = [0x00, 0x01, 0x08, 0x00, 6, 4];

/**
 * Reads a frame from its Ethernet header on. Never throws: every frame is one of the four kinds.
 * @param segments into how many packets segmentation offload will cut it.
 * @param segmentSize how many bytes of payload each of them gets.
 */
export function parsePacket(frame: Uint8Array, segments = 1, segmentSize = 0): Packet {
  const packet = parseFrame(frame, segments);
  return packet.kind === "ip" && segmentSize > 0 ? { ...packet, segmentSize } : packet;
}

function parseFrame(frame: Uint8Array, segments: number): Packet {
  if (frame.length < ETHERNET_LENGTH) return { kind: "bad", reason: "Malformed", family: null };
  const ethertype = ((frame[12] as number) << 8) | (frame[13] as number);
  const body = frame.subarray(ETHERNET_LENGTH);
  if (ethertype === ETHERTYPES.ipv4) return inFrame(frame, parseIpv4(body, segments));
  if (ethertype === ETHERTYPES.ipv6) return inFrame(frame, parseIpv6(body, segments));
  if (ethertype === ETHERTYPES.arp) return parseArp(body, formatMac(frame.subarray(6, 12)));
  return { kind: "other", ethertype };
}

function inFrame(frame: Uint8Array, packet: IpPacket | BadPacket): IpPacket | BadPacket {
  // The lowest bit of an address's first byte says that it is a group's: IEEE 802.
  return packet.kind === "ip" ? { ...packet, toLinkGroup: ((frame[0] as number) & 1) === 1 } : packet;
}

/** Lower-case text of a MAC address. */
export function formatMac(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function parseArp(body: Uint8Array, ethernetSource: string): ArpPacket | BadPacket {
  if (body.length < ARP_LENGTH || ARP_FIXED_FIELDS.some((byte, index) => body[index] !== byte)) {
    return { kind: "bad", reason: "Malformed", family: null };
  }
  const ipv4At = (offset: number) => mapIpv4(bytesToNumber(body.subarray(offset, offset + 4)));
  return {
    kind: "arp",
    ethernetSource,
    operation: ((body[6] as number) << 8) | (body[7] as number),
    senderMac: formatMac(body.subarray(8, 14)),
    sender: ipv4At(14),
    targetMac: formatMac(body.subarray(18, 24)),
    target: ipv4At(24),
    padding: body.subarray(ARP_LENGTH),
  };
}
