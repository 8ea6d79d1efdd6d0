/** TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), ICMP (RFC 792) and ICMPv6 (RFC 4443), as what stands behind an IP header. */
import { addressBytes, type Bytes, long, text, word } from "./bytes.ts";

/** What an IP packet carries. */
export interface Transport {
  protocol: number;
  bytes: number[];
  /** Where in `bytes` the checksum belongs, and whether the addresses are summed with it; none: there is no checksum. */
  checksum?: { offset: number; pseudoHeader: "always" | "ipv6" };
}

export const PROTOCOL = {
  hopByHop: 0,
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  routing: 43,
  fragment: 44,
  authentication: 51,
  icmpv6: 58,
  none: 59,
  destinationOptions: 60,
  sctp: 132,
} as const;

export interface Ports {
  from: number;
  to: number;
}

/** Letters of tcpdump: S, A, P, F, R, U. */
const TCP_FLAGS: Record<string, number> = { F: 0x01, S: 0x02, R: 0x04, P: 0x08, A: 0x10, U: 0x20 };

export interface TcpFields extends Ports {
  /** `S`, `SA`, `A`, `PA`, `FA`, `R`; `PA` unless given. */
  flags?: string;
  sequence?: number;
  acknowledgement?: number;
  /** Bytes, a multiple of 4. */
  options?: Bytes;
  /** In words of 4 bytes, as it is written, right or wrong. */
  headerWords?: number;
}

export function tcp(fields: TcpFields, payload: Bytes | string = []): Transport {
  const options = fields.options ?? [];
  const flags = [...(fields.flags ?? "PA")].reduce((bits, letter) => bits | (TCP_FLAGS[letter] ?? 0), 0);
  const bytes = [
    ...word(fields.from),
    ...word(fields.to),
    ...long(fields.sequence ?? 1),
    ...long(fields.acknowledgement ?? 0),
    (fields.headerWords ?? 5 + options.length / 4) << 4,
    flags,
    ...word(0xfaf0),
    0,
    0,
    0,
    0,
    ...options,
    ...payloadBytes(payload),
  ];
  return { protocol: PROTOCOL.tcp, bytes, checksum: { offset: 16, pseudoHeader: "always" } };
}

export interface UdpFields extends Ports {
  /** As it is written, right or wrong. */
  length?: number;
}

export function udp(fields: UdpFields, payload: Bytes | string = []): Transport {
  const body = payloadBytes(payload);
  const bytes = [...word(fields.from), ...word(fields.to), ...word(fields.length ?? 8 + body.length), 0, 0, ...body];
  return { protocol: PROTOCOL.udp, bytes, checksum: { offset: 6, pseudoHeader: "always" } };
}

export function sctp(fields: Ports, chunks: Bytes = []): Transport {
  return {
    protocol: PROTOCOL.sctp,
    bytes: [...word(fields.from), ...word(fields.to), ...long(1), ...long(0), ...chunks],
  };
}

export interface IcmpFields {
  type: number;
  code?: number;
  identifier?: number;
  sequence?: number;
}

export function icmp(fields: IcmpFields, payload: Bytes = []): Transport {
  return { protocol: PROTOCOL.icmp, bytes: icmpBytes(fields, payload), checksum: { offset: 2, pseudoHeader: "ipv6" } };
}

export function icmpv6(fields: IcmpFields, payload: Bytes = []): Transport {
  return { ...icmp(fields, payload), protocol: PROTOCOL.icmpv6 };
}

/** Echo request, as `ping` sends it. */
export function ping(identifier = 1, sequence = 1): Transport {
  return icmp({ type: 8, identifier, sequence }, text("ping"));
}

export function pong(identifier = 1, sequence = 1): Transport {
  return icmp({ type: 0, identifier, sequence }, text("ping"));
}

export function ping6(identifier = 1, sequence = 1): Transport {
  return icmpv6({ type: 128, identifier, sequence }, text("ping"));
}

export function pong6(identifier = 1, sequence = 1): Transport {
  return icmpv6({ type: 129, identifier, sequence }, text("ping"));
}

/** Neighbour solicitation (RFC 4861, 4.3) for `target`. */
export function neighbourSolicitation(target: string): Transport {
  return icmpv6({ type: 135 }, addressBytes(target));
}

/** Neighbour advertisement (RFC 4861, 4.4) of `target`. */
export function neighbourAdvertisement(target: string): Transport {
  return icmpv6({ type: 136, identifier: 0x6000 }, addressBytes(target));
}

/** Any protocol, bytes as they are. */
export function raw(protocol: number, payload: Bytes | string = []): Transport {
  return { protocol, bytes: payloadBytes(payload) };
}

export function payloadBytes(payload: Bytes | string): number[] {
  return typeof payload === "string" ? text(payload) : [...payload];
}

function icmpBytes({ type, code, identifier, sequence }: IcmpFields, payload: Bytes): number[] {
  return [type, code ?? 0, 0, 0, ...word(identifier ?? 0), ...word(sequence ?? 0), ...payload];
}
