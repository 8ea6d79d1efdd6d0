/**
 * DNS messages (RFC 1035, 4.1): one question or zone, what a question carries beside it, and what answers teach. Stated
 * independently of bpf/include/dns/; fuzzing compares the two.
 */
import { type Address, mapIpv4 } from "../../table/addresses.ts";
import { bytesToNumber } from "../../table/prefixes.ts";

const HEADER_LENGTH = 12;
/** Longest name on the wire, its root byte included. */
const WIRE_NAME_MAX = 255;
const LABEL_MAX = 63;
const POINTERS_MAX = 16;
/** Bytes of one message that are read. */
export const MESSAGE_MAX = 8192;
/** Of one answer: records that are read, addresses among them that are learned, and CNAME records that are followed. */
const ANSWERS_MAX = 320;
const ADDRESSES_MAX = 256;
const LINKS_MAX = 32;
/** Records of an update or notification that are read. */
const QUESTION_RECORDS_MAX = 128;
/** OPT, TKEY, and TSIG or SIG(0). */
const QUESTION_ADDITIONAL_MAX = 3;

/** EDNS (RFC 6891): option records, bytes of them but for padding, and of padding (RFC 7830). */
const OPTIONS_MAX = 8;
const OPTIONS_DATA_MAX = 80;
const PADDING_MAX = 512;
const OPTION_PADDING = 12;

const TYPE = { A: 1, CNAME: 5, SOA: 6, SIG: 24, AAAA: 28, OPT: 41, TKEY: 249, TSIG: 250, IXFR: 251 } as const;
const CLASS_IN = 1;
/** IN, CH, HS, NONE and ANY: RFC 6895, 3.2. */
const CLASSES = [CLASS_IN, 3, 4, 254, 255];
export const OPCODE = { query: 0, status: 2, notify: 4, update: 5 } as const;

/** Header and question of a well-formed message. */
export interface DnsMessage {
  id: number;
  response: boolean;
  /** One of `OPCODE`. */
  opcode: number;
  truncated: boolean;
  rcode: number;
  /** False for an answer that does not repeat the question. */
  hasQuestion: boolean;
  /** Lower case, without trailing dot, odd bytes as `\DDD`; "" is the root. */
  name: string;
  type: number;
  /** Records in the sections behind the question. */
  counts: [answers: number, authorities: number, additional: number];
  /** Offset of the first of them. */
  records: number;
}

/** An address that the answers give for the question's name; `ttl` in seconds. */
export interface DnsAddress {
  address: Address;
  ttl: number;
}

/** What the answer section teaches up to its end, or to where it stops being readable. */
export interface DnsAnswers {
  addresses: DnsAddress[];
  complete: boolean;
}

interface Name {
  text: string;
  /** Offset behind it, or behind its first pointer. */
  next: number;
}

interface DnsRecord {
  owner: string;
  type: number;
  class: number;
  ttl: number;
  /** Offset of the data. */
  data: number;
  /** Offset behind it. */
  end: number;
}

/**
 * Reads header and question.
 * @param bytes the message, or as much of it as the packet holds.
 * @returns null if it is not well-formed: an opcode that asks for nothing by a name, not exactly one question (an answer may
 *   have none), a class that is none, a name that is compressed or too long.
 */
export function parseDns(bytes: Uint8Array): DnsMessage | null {
  if (bytes.length < HEADER_LENGTH) return null;
  const flags = wordAt(bytes, 2);
  const response = (flags & 0x8000) !== 0;
  const opcode = (flags >> 11) & 0xf;
  const questions = wordAt(bytes, 4);
  if (!Object.values<number>(OPCODE).includes(opcode) || questions > 1 || (questions === 0 && !response)) return null;
  const head = {
    id: wordAt(bytes, 0),
    response,
    opcode,
    truncated: (flags & 0x0200) !== 0,
    rcode: flags & 0x000f,
    counts: [wordAt(bytes, 6), wordAt(bytes, 8), wordAt(bytes, 10)] as DnsMessage["counts"],
  };
  if (questions === 0) return { ...head, hasQuestion: false, name: "", type: 0, records: HEADER_LENGTH };
  const name = readName(bytes, HEADER_LENGTH, { compressed: false });
  if (name === null || name.next + 4 > bytes.length || !CLASSES.includes(wordAt(bytes, name.next + 2))) return null;
  return { ...head, hasQuestion: true, name: name.text, type: wordAt(bytes, name.next), records: name.next + 4 };
}

/** Whether a message that `parseDns` does not take for one may be the beginning of one: its question is not all there. */
export function mayContinue(bytes: Uint8Array): boolean {
  if (bytes.length < HEADER_LENGTH) return true;
  // With a name that certainly ends, everything else can be judged already.
  const head = [...bytes.subarray(0, HEADER_LENGTH), 0, 0, TYPE.A, 0, CLASS_IN];
  if (parseDns(Uint8Array.from(head)) === null) return false;
  const name = readName(bytes, HEADER_LENGTH, { compressed: false });
  return name === null || name.next + 4 > bytes.length;
}

/**
 * What a whole question carries behind the question: `nothing` but EDNS with little data, or `records` of the sender's.
 * @returns null if it is not well-formed: records where none belong, more data in EDNS than a question needs, padding that
 *   is not of zeros, bytes behind the last record.
 */
export function readCarried(bytes: Uint8Array, message: DnsMessage): "nothing" | "records" | null {
  const isQuery = message.opcode === OPCODE.query;
  const [answers, authorities, additional] = message.counts;
  const transfers = message.type === TYPE.IXFR ? 1 : 0;
  if (isQuery && (answers > 0 || authorities > transfers || additional > QUESTION_ADDITIONAL_MAX)) return null;
  const count = answers + authorities + additional;
  let offset = message.records;
  let carries: "nothing" | "records" = isQuery ? "nothing" : "records";
  let hasOptions = false;
  for (let index = 0; index < Math.min(count, QUESTION_RECORDS_MAX); index += 1) {
    const record = readRecord(bytes, offset);
    if (record === null) return null;
    // The name of EDNS is the root, without a pointer.
    const isOptions = record.type === TYPE.OPT && index >= authorities && record.data === offset + 11;
    if (isQuery && isOptions && !hasOptions) {
      hasOptions = true;
      if (!areOptionsSmall(bytes.subarray(record.data, record.end))) return null;
    } else if (isQuery) {
      carries = "records";
      const allowed: number[] = index < authorities ? [TYPE.SOA] : [TYPE.TSIG, TYPE.SIG];
      const isKey = index >= authorities && record.type === TYPE.TKEY && message.type === TYPE.TKEY;
      if (!allowed.includes(record.type) && !isKey) return null;
    }
    offset = record.end;
  }
  return count <= QUESTION_RECORDS_MAX && offset !== bytes.length ? null : carries;
}

/** The data of an EDNS record: options, each with code and length. */
function areOptionsSmall(data: Uint8Array): boolean {
  let held = 0;
  let offset = 0;
  for (let count = 0; offset < data.length; count += 1) {
    if (count === OPTIONS_MAX || offset + 4 > data.length) return false;
    const end = offset + 4 + wordAt(data, offset + 2);
    if (end > data.length) return false;
    if (wordAt(data, offset) === OPTION_PADDING) {
      const padding = data.subarray(offset + 4, end);
      if (padding.length > PADDING_MAX || padding.some((byte) => byte !== 0)) return false;
    } else {
      held += end - offset;
    }
    if (held > OPTIONS_DATA_MAX) return false;
    offset = end;
  }
  return true;
}

/**
 * Addresses of the question's name: A and AAAA records of class IN whose owner is the question, or is led to from it by
 * CNAME records, in any order. Everything else in the section is skipped, the other sections are not read.
 */
export function readAnswers(bytes: Uint8Array, message: DnsMessage): DnsAnswers {
  const links: { owner: string; target: string }[] = [];
  const found: (DnsAddress & { owner: string })[] = [];
  let offset = message.records;
  let complete = true;
  for (let index = 0; index < Math.min(message.counts[0], ANSWERS_MAX) && complete; index += 1) {
    const record = readRecord(bytes, offset);
    complete = record !== null && keepAnswer(bytes, record, links, found);
    offset = record?.end ?? offset;
  }
  const chain = chainOf(message.name, links.slice(0, LINKS_MAX));
  const addresses = found.slice(0, ADDRESSES_MAX).filter(({ owner }) => chain.has(owner));
  return { addresses: addresses.map(({ address, ttl }) => ({ address, ttl })), complete };
}

/** Returns false if the record's data are not what its type has. */
function keepAnswer(
  bytes: Uint8Array,
  { owner, type, class: recordClass, ttl, data, end }: DnsRecord,
  links: { owner: string; target: string }[],
  found: (DnsAddress & { owner: string })[],
): boolean {
  if (recordClass !== CLASS_IN) return true;
  if (type === TYPE.A || type === TYPE.AAAA) {
    const address = bytes.subarray(data, end);
    if (address.length !== (type === TYPE.A ? 4 : 16)) return false;
    const number = bytesToNumber(address);
    found.push({ owner, address: type === TYPE.A ? mapIpv4(number) : number, ttl });
  }
  if (type === TYPE.CNAME) {
    const target = readName(bytes, data, { compressed: true });
    if (target === null || target.next > end) return false;
    links.push({ owner, target: target.text });
  }
  return true;
}

/** All names that the records lead to from `start`, itself included. */
function chainOf(start: string, links: { owner: string; target: string }[]): Set<string> {
  const chain = new Set([start]);
  for (const name of chain) for (const { owner, target } of links) if (owner === name) chain.add(target);
  return chain;
}

function readRecord(bytes: Uint8Array, offset: number): DnsRecord | null {
  const owner = readName(bytes, offset, { compressed: true });
  if (owner === null || owner.next + 10 > bytes.length) return null;
  const data = owner.next + 10;
  const end = data + wordAt(bytes, owner.next + 8);
  if (end > bytes.length) return null;
  return {
    owner: owner.text,
    type: wordAt(bytes, owner.next),
    class: wordAt(bytes, owner.next + 2),
    ttl: ((wordAt(bytes, owner.next + 4) << 16) | wordAt(bytes, owner.next + 6)) >>> 0,
    data,
    end,
  };
}

/** Reads a name; pointers, where allowed, lead strictly backwards, at most 16 of them. Null if it is none. */
function readName(bytes: Uint8Array, start: number, { compressed }: { compressed: boolean }): Name | null {
  const labels: string[] = [];
  let offset = start;
  let wireLength = 1;
  let pointers = 0;
  let next: number | null = null;
  for (;;) {
    const length = bytes[offset];
    if (length === undefined) return null;
    if (length === 0) return { text: labels.join("."), next: next ?? offset + 1 };
    if (length >= 0xc0) {
      pointers += 1;
      if (!compressed || pointers > POINTERS_MAX || offset + 2 > bytes.length) return null;
      next ??= offset + 2;
      const target = wordAt(bytes, offset) & 0x3fff;
      if (target < HEADER_LENGTH || target >= offset) return null;
      offset = target;
      continue;
    }
    wireLength += length + 1;
    if (length > LABEL_MAX || wireLength > WIRE_NAME_MAX || offset + 1 + length > bytes.length) return null;
    labels.push([...bytes.subarray(offset + 1, offset + 1 + length)].map(labelByte).join(""));
    offset += 1 + length;
  }
}

/**
 * A byte of a label as text: letters in lower case, printable ASCII as it is, anything else, and what has a meaning in texts,
 * by its number (RFC 1035, 5.1). A label may hold any byte: RFC 2181, 11.
 */
export function labelByte(byte: number): string {
  const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c;
  return isPlain ? String.fromCharCode(byte).toLowerCase() : `\\${String(byte).padStart(3, "0")}`;
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}
