/** IPv4 with options, IPv6 with extension headers, fragments, TCP, UDP, ICMP and ICMPv6. See packet.ts. */
import { type Address, isMapped, mapIpv4 } from "../table/addresses.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import { bytesToNumber, type Family } from "../table/prefixes.ts";
import type { BadPacket, IpPacket } from "./packet.ts";

const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const UDP_HEADER = 8;
const ICMP_HEADER = 8;
const SCTP_HEADER = 12;
/** A later fragment may not begin within these bytes of the L4 header. */
const HEADER_LENGTHS: ReadonlyMap<number, number> = new Map([
  [PROTOCOL_NUMBERS.tcp, TCP_HEADER],
  [PROTOCOL_NUMBERS.sctp, SCTP_HEADER],
]);

const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION_OPTIONS = 60;
const EXTENSION_HEADERS: ReadonlySet<number> = new Set([
  HOP_BY_HOP,
  ROUTING,
  FRAGMENT,
  AUTHENTICATION,
  DESTINATION_OPTIONS,
]);
/** RFC 791, 3.1. The first two are a single byte; source routes are loose or strict. */
const OPTION_END = 0;
const OPTION_NONE = 1;
const SOURCE_ROUTES: ReadonlySet<number> = new Set([131, 137]);

/** More than this many extension headers are refused. */
const EXTENSION_HEADERS_MAX = 8;

/** An IP packet whose headers are read, and where its L4 part stands. */
interface Datagram {
  family: Family;
  source: Address;
  destination: Address;
  protocol: number;
  hopLimit: number;
  length: number;
  hasOptions: boolean;
  /** Where it ends is not known before the L4 header is found. */
  fragment: Omit<NonNullable<IpPacket["fragment"]>, "end"> | null;
  segments: number;
  /** From the L4 header to the end of the datagram. */
  rest: Uint8Array;
}

/**
 * @param body what follows the Ethernet header, Ethernet padding included.
 * @param segments into how many packets it will be cut; beyond 64 KiB ("BIG TCP") such a packet's length field is 0.
 */
export function parseIpv4(body: Uint8Array, segments: number): IpPacket | BadPacket {
  const bad = badPacket("Malformed", "ipv4");
  if (body.length < IPV4_HEADER) return bad;
  const headerLength = (byteAt(body, 0) & 0x0f) * 4;
  const totalLength = wordAt(body, 2) === 0 && segments > 1 ? body.length : wordAt(body, 2);
  if (byteAt(body, 0) >> 4 !== 4 || headerLength < IPV4_HEADER) return bad;
  if (totalLength < headerLength || totalLength > body.length) return bad;
  if (!endsAtDestination(body.subarray(IPV4_HEADER, headerLength))) return bad;
  const datagram: Datagram = {
    family: "ipv4",
    source: mapIpv4(bytesToNumber(body.subarray(12, 16))),
    destination: mapIpv4(bytesToNumber(body.subarray(16, 20))),
    protocol: byteAt(body, 9),
    hopLimit: byteAt(body, 8),
    length: totalLength,
    hasOptions: headerLength > IPV4_HEADER,
    fragment: null,
    segments,
    rest: body.subarray(headerLength, totalLength),
  };
  const field = wordAt(body, 6);
  return parseFragment(datagram, wordAt(body, 4), (field & 0x1fff) * 8, (field & 0x2000) !== 0) ?? parseL4(datagram);
}

/** Whether these options can be read to their end, and name no further stops behind the packet's destination. */
function endsAtDestination(options: Uint8Array): boolean {
  let offset = 0;
  while (offset < options.length) {
    const kind = byteAt(options, offset);
    if (kind === OPTION_END) return true;
    if (SOURCE_ROUTES.has(kind)) return false;
    const length = kind === OPTION_NONE ? 1 : (options[offset + 1] ?? 0);
    if (kind !== OPTION_NONE && length < 2) return false;
    offset += length;
  }
  return offset === options.length;
}

/** See parseIpv4. */
export function parseIpv6(body: Uint8Array, segments: number): IpPacket | BadPacket {
  const bad = badPacket("Malformed", "ipv6");
  if (body.length < IPV6_HEADER || byteAt(body, 0) >> 4 !== 6) return bad;
  const isBig = wordAt(body, 4) === 0 && segments > 1;
  const payloadLength = isBig ? body.length - IPV6_HEADER : wordAt(body, 4);
  const isJumbogram = payloadLength === 0 && byteAt(body, 6) === HOP_BY_HOP;
  if (isJumbogram || IPV6_HEADER + payloadLength > body.length) return bad;
  const datagram: Datagram = {
    family: "ipv6",
    source: bytesToNumber(body.subarray(8, 24)),
    destination: bytesToNumber(body.subarray(24, 40)),
    protocol: byteAt(body, 6),
    hopLimit: byteAt(body, 7),
    length: IPV6_HEADER + payloadLength,
    hasOptions: false,
    fragment: null,
    segments,
    rest: body.subarray(IPV6_HEADER, IPV6_HEADER + payloadLength),
  };
  // Such addresses are IPv4's here, as everywhere inside a host: on the wire they would pass for what they are not.
  if (isMapped(datagram.source) || isMapped(datagram.destination)) return bad;
  for (let headers = 1; EXTENSION_HEADERS.has(datagram.protocol); headers += 1) {
    if (headers > EXTENSION_HEADERS_MAX || datagram.rest.length < 8) return bad;
    const done = parseExtension(datagram);
    if (done !== null) return done;
  }
  return parseL4(datagram);
}

/** What stands behind the extension headers of an IPv6 packet that an error quotes; null for a later fragment. */
export function behindExtensions(protocol: number, rest: Uint8Array): { protocol: number; rest: Uint8Array } | null {
  const datagram: Pick<Datagram, "protocol" | "rest"> = { protocol, rest };
  for (let headers = 1; EXTENSION_HEADERS.has(datagram.protocol); headers += 1) {
    if (headers > EXTENSION_HEADERS_MAX || datagram.rest.length < 8) return null;
    const isLater = datagram.protocol === FRAGMENT && (wordAt(datagram.rest, 2) & 0xfff8) !== 0;
    if (isLater || !stepOver(datagram)) return null;
  }
  return datagram;
}

/** Moves the datagram behind one extension header; false if there is not all of it, or it names further stops. */
function stepOver(datagram: Pick<Datagram, "protocol" | "rest">): boolean {
  const { rest, protocol } = datagram;
  const units = byteAt(rest, 1);
  if (protocol === ROUTING && byteAt(rest, 3) > 0) return false;
  datagram.protocol = byteAt(rest, 0);
  // RFC 4302 counts the authentication header in words of 4 bytes, less 2; RFC 8200 the others in 8, less 1.
  const others = protocol === AUTHENTICATION ? (units + 2) * 4 : (units + 1) * 8;
  const length = protocol === FRAGMENT ? 8 : others;
  datagram.rest = rest.subarray(length);
  return length <= rest.length;
}

/** Moves the datagram behind one extension header; a result if there is nothing more to read. */
function parseExtension(datagram: Datagram): IpPacket | BadPacket | null {
  const { rest, protocol } = datagram;
  if (!stepOver(datagram)) return badPacket("Malformed", datagram.family);
  if (protocol !== FRAGMENT) return null;
  const field = wordAt(rest, 2);
  return parseFragment(datagram, bytesToNumber32(rest, 4), field & 0xfff8, (field & 1) !== 0);
}

/** Notes a first fragment; a later one is all there is to read. A whole ("atomic") datagram is none. */
function parseFragment(
  datagram: Datagram,
  identification: number,
  offset: number,
  more: boolean,
): IpPacket | BadPacket | null {
  if (offset === 0) {
    if (more) datagram.fragment = { identification, part: "first", start: 0 };
    return null;
  }
  // It may not begin within the L4 header that the first fragment was judged by.
  if (offset < (HEADER_LENGTHS.get(datagram.protocol) ?? 0)) {
    return badPacket("Fragment", datagram.family);
  }
  datagram.fragment = { identification, part: "later", start: offset };
  return ipPacket(datagram, datagram.rest, {});
}

function parseL4(datagram: Datagram): IpPacket | BadPacket {
  const packet = readL4(datagram);
  if (packet !== null) return packet;
  // A first fragment too short for its L4 header hides it on purpose.
  return badPacket(datagram.fragment === null ? "Malformed" : "Fragment", datagram.family);
}

function readL4(datagram: Datagram): IpPacket | null {
  switch (datagram.protocol) {
    case PROTOCOL_NUMBERS.tcp:
      return readTcp(datagram);
    case PROTOCOL_NUMBERS.udp:
      return readUdp(datagram);
    case PROTOCOL_NUMBERS.icmp:
    case PROTOCOL_NUMBERS.icmpv6:
      return readIcmp(datagram);
    case PROTOCOL_NUMBERS.sctp:
      return readSctp(datagram);
    default:
      return ipPacket(datagram, datagram.rest, {});
  }
}

function readTcp(datagram: Datagram): IpPacket | null {
  const { rest } = datagram;
  if (rest.length < TCP_HEADER) return null;
  const headerLength = (byteAt(rest, 12) >> 4) * 4;
  if (headerLength < TCP_HEADER || headerLength > rest.length) return null;
  const flags = byteAt(rest, 13);
  // A SYN takes up one sequence number before the payload.
  const sequence = (bytesToNumber32(rest, 4) + ((flags & 0x02) === 0 ? 0 : 1)) >>> 0;
  return ipPacket(datagram, rest.subarray(headerLength), { ...portsAt(rest), tcp: { flags, sequence } });
}

function readUdp(datagram: Datagram): IpPacket | null {
  const { rest } = datagram;
  if (rest.length < UDP_HEADER) return null;
  const length = wordAt(rest, 4);
  if (length < UDP_HEADER) return null;
  // A first fragment carries the length of the whole datagram.
  const isFirst = datagram.fragment !== null;
  if (!isFirst && length > rest.length) return null;
  const isWhole = !isFirst && datagram.segments === 1;
  return ipPacket(datagram, rest.subarray(UDP_HEADER, isWhole ? length : rest.length), portsAt(rest));
}

function readIcmp(datagram: Datagram): IpPacket | null {
  const { rest } = datagram;
  if (rest.length < ICMP_HEADER) return null;
  const icmp = { type: byteAt(rest, 0), code: byteAt(rest, 1), identifier: wordAt(rest, 4), sequence: wordAt(rest, 6) };
  return ipPacket(datagram, rest.subarray(ICMP_HEADER), { icmp });
}

/** RFC 9260, 3.1: ports, verification tag, checksum. */
function readSctp(datagram: Datagram): IpPacket | null {
  const { rest } = datagram;
  return rest.length < SCTP_HEADER ? null : ipPacket(datagram, rest.subarray(SCTP_HEADER), portsAt(rest));
}

function ipPacket(datagram: Datagram, payload: Uint8Array, l4: Partial<IpPacket>): IpPacket {
  const { fragment, rest, ...headers } = datagram;
  const head = {
    kind: "ip",
    toLinkGroup: false,
    ...headers,
    fragment: fragment && { ...fragment, end: fragment.start + rest.length },
  } as const;
  return { ...head, sourcePort: 0, destinationPort: 0, tcp: null, icmp: null, payload, ...l4 };
}

function portsAt(rest: Uint8Array): { sourcePort: number; destinationPort: number } {
  return { sourcePort: wordAt(rest, 0), destinationPort: wordAt(rest, 2) };
}

function badPacket(reason: BadPacket["reason"], family: Family): BadPacket {
  return { kind: "bad", reason, family };
}

function byteAt(bytes: Uint8Array, offset: number): number {
  return bytes[offset] as number;
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return (byteAt(bytes, offset) << 8) | byteAt(bytes, offset + 1);
}

function bytesToNumber32(bytes: Uint8Array, offset: number): number {
  return ((wordAt(bytes, offset) << 16) | wordAt(bytes, offset + 2)) >>> 0;
}
