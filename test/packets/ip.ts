/** IPv4 (RFC 791) and IPv6 (RFC 8200), with options, extension headers and fragments. */
import { addressBytes, type Bytes, internetChecksum, long, word } from "./bytes.ts";
import { PROTOCOL, type Transport } from "./transport.ts";

export interface IpEnds {
  from: string;
  to: string;
}

/** One piece of a fragmented datagram. */
export interface FragmentFields {
  identification: number;
  /** Bytes, a multiple of 8. */
  offset: number;
  /** Others follow. */
  more: boolean;
}

export interface Ipv4Fields extends IpEnds {
  options?: Bytes;
  fragment?: FragmentFields;
  ttl?: number;
  /** As they are written, right or wrong. */
  version?: number;
  headerWords?: number;
  totalLength?: number;
}

export function ipv4(fields: Ipv4Fields, transport: Transport): number[] {
  const options = fields.options ?? [];
  const body = checkedBody(fields, transport, "ipv4");
  const { identification, offset, more } = fields.fragment ?? { identification: 0, offset: 0, more: false };
  const header = [
    ((fields.version ?? 4) << 4) | (fields.headerWords ?? 5 + options.length / 4),
    0,
    ...word(fields.totalLength ?? 20 + options.length + body.length),
    ...word(identification),
    ...word((more ? 0x2000 : 0) | (offset >>> 3)),
    fields.ttl ?? 64,
    transport.protocol,
    0,
    0,
    ...addressBytes(fields.from),
    ...addressBytes(fields.to),
    ...options,
  ];
  header.splice(10, 2, ...word(internetChecksum(header)));
  return [...header, ...body];
}

/** An extension header: its number, and its bytes without the first, which says what comes next. */
export interface Extension {
  header: number;
  bytes: number[];
}

/** Hop-by-hop or destination options of 8 times `units` bytes, filled with padding options. */
export function optionsHeader(header: number, units = 1): Extension {
  const padding = units * 8 - 4;
  return { header, bytes: [units - 1, 1, padding, ...Array(padding).fill(0)] };
}

export function routingHeader(segmentsLeft = 0): Extension {
  return { header: PROTOCOL.routing, bytes: [0, 0, segmentsLeft, 0, 0, 0, 0] };
}

/** RFC 8754: to the first of these addresses, and from each to the next. */
export function segmentRouting(stops: readonly string[]): Extension {
  const last = stops.length - 1;
  const addresses = [...stops].reverse().flatMap((stop) => [...addressBytes(stop)]);
  return { header: PROTOCOL.routing, bytes: [2 * stops.length, 4, last, last, 0, 0, 0, ...addresses] };
}

/** RFC 791, 3.1: option 131 (loose) or 137 (strict), from the packet's destination on to these addresses. */
export function sourceRoute(kind: number, stops: readonly string[]): number[] {
  return [kind, 3 + 4 * stops.length, 4, ...stops.flatMap((stop) => [...addressBytes(stop)])];
}

/** RFC 4302, with a check value of 12 bytes. */
export function authenticationHeader(): Extension {
  return { header: PROTOCOL.authentication, bytes: [4, 0, 0, ...long(1), ...long(1), ...Array(12).fill(7)] };
}

export function fragmentHeader({ identification, offset, more }: FragmentFields): Extension {
  return { header: PROTOCOL.fragment, bytes: [0, ...word(offset | (more ? 1 : 0)), ...long(identification)] };
}

export interface Ipv6Fields extends IpEnds {
  extensions?: Extension[];
  hopLimit?: number;
  /** As they are written, right or wrong. */
  version?: number;
  payloadLength?: number;
}

export function ipv6(fields: Ipv6Fields, transport: Transport): number[] {
  const extensions = fields.extensions ?? [];
  const chain = extensions.flatMap(({ bytes }, index) => [
    extensions[index + 1]?.header ?? transport.protocol,
    ...bytes,
  ]);
  const body = [...chain, ...checkedBody(fields, transport, "ipv6")];
  return [
    (fields.version ?? 6) << 4,
    0,
    0,
    0,
    ...word(fields.payloadLength ?? body.length),
    extensions[0]?.header ?? transport.protocol,
    fields.hopLimit ?? 64,
    ...addressBytes(fields.from),
    ...addressBytes(fields.to),
    ...body,
  ];
}

/** Either, as the addresses are. */
export function ip(ends: IpEnds, transport: Transport): number[] {
  return ends.from.includes(":") ? ipv6(ends, transport) : ipv4(ends, transport);
}

/**
 * The fragments of a datagram; the checksum is that of the whole.
 * @param cuts offsets, in bytes from the L4 header on, at which a new fragment begins; multiples of 8
 */
export function fragments(ends: IpEnds, transport: Transport, cuts: number[], identification = 77): number[][] {
  const isIpv6 = ends.from.includes(":");
  const whole = checkedBody(ends, transport, isIpv6 ? "ipv6" : "ipv4");
  return [0, ...cuts].map((offset, index) => {
    const end = cuts[index] ?? whole.length;
    const piece = { protocol: transport.protocol, bytes: whole.slice(offset, end) };
    const fragment = { identification, offset, more: end < whole.length };
    if (!isIpv6) return ipv4({ ...ends, fragment }, piece);
    return ipv6({ ...ends, extensions: [fragmentHeader(fragment)] }, piece);
  });
}

/** What an ICMP error (RFC 792, RFC 4443) holds of the packet that it is about: all of it, up to `length` bytes. */
export function quoted(packet: number[], length = 576): number[] {
  return packet.slice(0, length);
}

function checkedBody(ends: IpEnds, { protocol, bytes, checksum }: Transport, family: "ipv4" | "ipv6"): number[] {
  if (checksum === undefined || checksum.offset + 2 > bytes.length) return bytes;
  const withAddresses = checksum.pseudoHeader === "always" || family === "ipv6";
  const pseudoHeader = withAddresses
    ? [...addressBytes(ends.from), ...addressBytes(ends.to), ...long(bytes.length), ...long(protocol)]
    : [];
  const body = [...bytes];
  const sum = internetChecksum(pseudoHeader, body);
  // A UDP checksum of 0 means that there is none.
  body.splice(checksum.offset, 2, ...word(sum === 0 && protocol === PROTOCOL.udp ? 0xffff : sum));
  return body;
}
