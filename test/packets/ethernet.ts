/** Ethernet frames: IP, ARP (RFC 826), VLAN tags, anything. */
import { addressBytes, type Bytes, macBytes, word } from "./bytes.ts";

/** Of the interface inside the workload, and of the host's side of its veth. */
export const WORKLOAD_MAC = "02:00:00:00:00:01";
/** Of a second interface. */
export const SECOND_MAC = "02:00:00:00:00:03";
export const HOST_MAC = "02:00:00:00:00:02";
export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100, ipv6: 0x86dd, lldp: 0x88cc } as const;

export interface FrameFields {
  source?: string;
  destination?: string;
  /** Follows from the IP version unless given. */
  type?: number;
  /** Zero bytes behind the packet, as short Ethernet frames have them. */
  padding?: number;
}

/** Puts an Ethernet header before an IP packet. */
export function frame(packet: Bytes, fields: FrameFields = {}): Buffer {
  const type = fields.type ?? ((packet[0] ?? 0) >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4);
  return Buffer.from([
    ...macBytes(fields.destination ?? HOST_MAC),
    ...macBytes(fields.source ?? WORKLOAD_MAC),
    ...word(type),
    ...packet,
    ...Array(fields.padding ?? 0).fill(0),
  ]);
}

export interface ArpFields {
  /** 1 request (unless given), 2 reply. */
  operation?: number;
  /** Who says so: address and hardware address. */
  sender: string;
  senderMac?: string;
  target: string;
  targetMac?: string;
}

/** An ARP frame; `fields` of the Ethernet header follow the ARP message unless given. */
export function arp(message: ArpFields, fields: FrameFields = {}): Buffer {
  const senderMac = message.senderMac ?? WORKLOAD_MAC;
  const body = [
    ...[0, 1, 8, 0, 6, 4],
    ...word(message.operation ?? 1),
    ...macBytes(senderMac),
    ...addressBytes(message.sender),
    ...macBytes(message.targetMac ?? "00:00:00:00:00:00"),
    ...addressBytes(message.target),
  ];
  return frame(body, { source: senderMac, destination: BROADCAST_MAC, ...fields, type: fields.type ?? ETHERTYPE.arp });
}

/** The frame with a VLAN tag (IEEE 802.1Q) in it. */
export function tagged(inner: Buffer, vlan: number): Buffer {
  return Buffer.concat([
    inner.subarray(0, 12),
    Buffer.from([...word(ETHERTYPE.vlan), ...word(vlan)]),
    inner.subarray(12),
  ]);
}
