/** Frames for tests, byte by byte. Not for production: no checksums, and nothing is validated. */
import { formatMac } from "../packet/packet-parser.ts";
import { numberToBytes, parseAddress } from "../table/prefixes.ts";

export const OWN_MAC = [2, 0, 0, 0, 0, 1];
export const OTHER_MAC = [2, 0, 0, 0, 0, 2];
export const OWN_MAC_TEXT = formatMac(Uint8Array.from(OWN_MAC));

const ETHERTYPES = { ipv4: [0x08, 0x00], ipv6: [0x86, 0xdd], arp: [0x08, 0x06] } as const;

export function word(value: number): number[] {
  return [(value >> 8) & 0xff, value & 0xff];
}

export function long(value: number): number[] {
  return [...word(value >>> 16), ...word(value & 0xffff)];
}

export function ethernet(type: keyof typeof ETHERTYPES | number, body: number[], source = OWN_MAC): Uint8Array {
  const ethertype = typeof type === "number" ? word(type) : ETHERTYPES[type];
  return Uint8Array.from([...OTHER_MAC, ...source, ...ethertype, ...body]);
}

export function addressBytes(text: string): number[] {
  const ipv4 = parseAddress(text, "ipv4");
  if (ipv4 !== null) return numberToBytes(ipv4, 4);
  return numberToBytes(parseAddress(text, "ipv6") as bigint, 16);
}

export interface Ipv4Options {
  identification?: number;
  /** The 16 bits of flags and offset. */
  fragment?: number;
  options?: number[];
  totalLength?: number;
  version?: number;
}

export function ipv4(
  source: string,
  destination: string,
  protocol: number,
  rest: number[],
  more: Ipv4Options = {},
): Uint8Array {
  const options = more.options ?? [];
  const headerLength = 20 + options.length;
  const head = [
    ((more.version ?? 4) << 4) | (headerLength / 4),
    0,
    ...word(more.totalLength ?? headerLength + rest.length),
  ];
  const middle = [...word(more.identification ?? 0), ...word(more.fragment ?? 0), 64, protocol, 0, 0];
  return ethernet("ipv4", [
    ...head,
    ...middle,
    ...addressBytes(source),
    ...addressBytes(destination),
    ...options,
    ...rest,
  ]);
}

export function ipv6(
  source: string,
  destination: string,
  next: number,
  rest: number[],
  payloadLength = rest.length,
  hopLimit = 64,
): Uint8Array {
  const head = [0x60, 0, 0, 0, ...word(payloadLength), next, hopLimit];
  return ethernet("ipv6", [...head, ...addressBytes(source), ...addressBytes(destination), ...rest]);
}

export function tcp(
  sourcePort: number,
  destinationPort: number,
  flags: number,
  payload: number[] = [],
  sequence = 1,
): number[] {
  return [
    ...word(sourcePort),
    ...word(destinationPort),
    ...long(sequence),
    ...long(0),
    5 << 4,
    flags,
    0,
    0,
    0,
    0,
    0,
    0,
    ...payload,
  ];
}

export function udp(
  sourcePort: number,
  destinationPort: number,
  payload: number[] = [],
  length = 8 + payload.length,
): number[] {
  return [...word(sourcePort), ...word(destinationPort), ...word(length), 0, 0, ...payload];
}

export function icmp(type: number, identifier = 0, payload: number[] = [], code = 0): number[] {
  return [type, code, 0, 0, ...word(identifier), 0, 0, ...payload];
}

export function arp(
  operation: number,
  senderMac: number[],
  sender: string,
  target: string,
  source = senderMac,
): Uint8Array {
  const head = [0, 1, 8, 0, 6, 4, ...word(operation)];
  return ethernet(
    "arp",
    [...head, ...senderMac, ...addressBytes(sender), 0, 0, 0, 0, 0, 0, ...addressBytes(target)],
    source,
  );
}

export function text(value: string): number[] {
  return [...Buffer.from(value)];
}

/** A name on the wire, uncompressed. */
export function wireName(name: string): number[] {
  const labels = name === "" ? [] : name.split(".");
  return [...labels.flatMap((label) => [label.length, ...text(label)]), 0];
}

export interface DnsOptions {
  id?: number;
  /** The 16 bits of flags; a response has 0x8000. */
  flags?: number;
  type?: number;
  questions?: number;
  answers?: number[][];
  answerCount?: number;
  additional?: number[];
}

/** A message with one question. */
export function dns(name: string | number[], more: DnsOptions = {}): number[] {
  const answers = more.answers ?? [];
  const counts = [more.questions ?? 1, more.answerCount ?? answers.length, 0, more.additional ? 1 : 0];
  const question = [...(typeof name === "string" ? wireName(name) : name), ...word(more.type ?? 1), ...word(1)];
  const head = [...word(more.id ?? 7), ...word(more.flags ?? 0x0100), ...counts.flatMap(word)];
  return [...head, ...question, ...answers.flat(), ...(more.additional ?? [])];
}

/** The question's name, as every answer may point to it. */
export const QUESTION_POINTER = [0xc0, 12];

export function record(owner: number[], type: number, ttl: number, data: number[], recordClass = 1): number[] {
  return [...owner, ...word(type), ...word(recordClass), ...long(ttl), ...word(data.length), ...data];
}
