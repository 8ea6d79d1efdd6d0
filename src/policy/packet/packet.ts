/** What rules judge: a packet, described. packet-parser.ts makes it from the bytes of a frame. */
import type { Address } from "../table/addresses.ts";
import type { Family } from "../table/prefixes.ts";

export const ETHERTYPES = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd } as const;
export const TCP_FLAGS = { fin: 0x01, syn: 0x02, rst: 0x04, ack: 0x10, urg: 0x20 } as const;

/** MAC addresses are lower-case text with colons. */
export interface ArpPacket {
  kind: "arp";
  /** Source of the Ethernet header. */
  ethernetSource: string;
  /** 1 request, 2 reply. */
  operation: number;
  senderMac: string;
  sender: Address;
  targetMac: string;
  target: Address;
  /** What stands behind the message, up to the end of the frame. */
  padding: Uint8Array;
}

export interface IpPacket {
  kind: "ip";
  family: Family;
  source: Address;
  destination: Address;
  /** The frame is for a group of stations, or for all on the link. */
  toLinkGroup: boolean;
  /** Of what follows the last extension header. */
  protocol: number;
  /** Time to live. */
  hopLimit: number;
  /** Of the whole IP packet, in bytes. */
  length: number;
  /** Of IPv4. */
  hasOptions: boolean;
  /**
   * Null for a whole datagram; a later fragment has no L4 header. In bytes, counted from that header on, `start` is where the
   * fragment begins in its datagram, and `end` where it ends.
   */
  fragment: { identification: number; part: "first" | "later"; start: number; end: number } | null;
  /** More than 1 for one that segmentation offload will cut into so many. */
  segments: number;
  /** How many bytes of payload each of them gets, where that is known. */
  segmentSize?: number;
  /** 0 for protocols without ports. */
  sourcePort: number;
  destinationPort: number;
  /** `sequence` is that of the first byte of payload. */
  tcp: { flags: number; sequence: number } | null;
  icmp: { type: number; code: number; identifier: number; sequence: number } | null;
  /** Behind the L4 header, without Ethernet padding; for protocols without one, behind the IP headers. */
  payload: Uint8Array;
}

/** Neither IP nor ARP: VLAN tags, IEEE 802.3 length fields, and every EtherType that no profile can name. */
export interface OtherPacket {
  kind: "other";
  ethertype: number;
}

/** Cannot be read; `family` where it claims to be IP. */
export interface BadPacket {
  kind: "bad";
  reason: "Malformed" | "Fragment";
  family: Family | null;
}

export type Packet = ArpPacket | IpPacket | OtherPacket | BadPacket;

/** Whether the receiver takes a byte out of the stream (RFC 6093, 3): what it reads is then not what the segments hold. */
export function isUrgent({ tcp }: IpPacket): boolean {
  return ((tcp?.flags ?? 0) & TCP_FLAGS.urg) !== 0;
}
