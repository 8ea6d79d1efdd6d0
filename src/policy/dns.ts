/**
 * DNS messages (RFC 1035, 4.1): one question, and what its answers teach. Stated independently of
 * bpf/include/dns.h; fuzzing compares the two.
 */
import { type Address, mapIpv4 } from "./addresses.ts";
import { bytesToNumber } from "./prefixes.ts";

const HEADER_LENGTH = 12;
/** Longest name on the wire, its root byte included. */
const WIRE_NAME_MAX = 255;
const LABEL_MAX = 63;
const POINTERS_MAX = 16;
/** Answers read of one message; what comes behind is not learned. */
const ANSWERS_MAX = 64;
/** Names of one CNAME chain, the question's included. */
const CHAIN_MAX = 8;

const TYPE_A = 1;
const TYPE_CNAME = 5;
const TYPE_AAAA = 28;
const CLASS_IN = 1;

/** Header and question of a well-formed message. */
export interface DnsMessage {
  id: number;
  response: boolean;
  truncated: boolean;
  rcode: number;
  /** Lower case, without trailing dot; "" is the root. */
  name: string;
  type: number;
  answerCount: number;
  /** Offset of the answer section. */
  answers: number;
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

/**
 * Reads header and question.
 * @param bytes the message, or as much of it as the packet holds.
 * @returns null if it is not well-formed: another opcode, not exactly one question, a query with answers, a name that is
 *   compressed, too long, or holds a byte that cannot stand in a name.
 */
export function parseDns(bytes: Uint8Array): DnsMessage | null {
  if (bytes.length < HEADER_LENGTH) return null;
  const flags = wordAt(bytes, 2);
  const response = (flags & 0x8000) !== 0;
  if ((flags & 0x7800) !== 0 || wordAt(bytes, 4) !== 1) return null;
  const answerCount = wordAt(bytes, 6);
  if (!response && (answerCount !== 0 || wordAt(bytes, 8) !== 0)) return null;
  const name = readName(bytes, HEADER_LENGTH, { compressed: false });
  if (name === null || name.next + 4 > bytes.length) return null;
  return {
    id: wordAt(bytes, 0),
    response,
    truncated: (flags & 0x0200) !== 0,
    rcode: flags & 0x000f,
    name: name.text,
    type: wordAt(bytes, name.next),
    answerCount,
    answers: name.next + 4,
  };
}

/**
 * Addresses of the question's name: A and AAAA records of class IN whose owner is the question, or a target of the
 * CNAME records before them that begin at it. Everything else in the section is skipped, the other sections are not read.
 */
export function readAnswers(bytes: Uint8Array, message: DnsMessage): DnsAnswers {
  const chain = [message.name];
  const addresses: DnsAddress[] = [];
  let offset = message.answers;
  for (let index = 0; index < Math.min(message.answerCount, ANSWERS_MAX); index += 1) {
    const next = readAnswer(bytes, offset, chain, addresses);
    if (next === null) return { addresses, complete: false };
    offset = next;
  }
  return { addresses, complete: true };
}

/** Reads one record and returns the offset behind it, null if it is ill-formed or cut off. */
function readAnswer(bytes: Uint8Array, offset: number, chain: string[], addresses: DnsAddress[]): number | null {
  const owner = readName(bytes, offset, { compressed: true });
  if (owner === null || owner.next + 10 > bytes.length) return null;
  const type = wordAt(bytes, owner.next);
  const ttl = ((wordAt(bytes, owner.next + 4) << 16) | wordAt(bytes, owner.next + 6)) >>> 0;
  const data = owner.next + 10;
  const end = data + wordAt(bytes, owner.next + 8);
  if (end > bytes.length) return null;
  if (wordAt(bytes, owner.next + 2) !== CLASS_IN || !chain.includes(owner.text)) return end;
  if (type === TYPE_A || type === TYPE_AAAA) {
    const record = bytes.subarray(data, end);
    if (record.length !== (type === TYPE_A ? 4 : 16)) return null;
    const number = bytesToNumber(record);
    addresses.push({ address: type === TYPE_A ? mapIpv4(number) : number, ttl });
  }
  if (type === TYPE_CNAME) {
    const target = readName(bytes, data, { compressed: true });
    if (target === null || target.next > end) return null;
    if (chain.length < CHAIN_MAX && !chain.includes(target.text)) chain.push(target.text);
  }
  return end;
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
    const label = readLabel(bytes.subarray(offset + 1, offset + 1 + length));
    if (label === null) return null;
    labels.push(label);
    offset += 1 + length;
  }
}

/** Printable ASCII without space and dot, letters in lower case; null for a label with any other byte. */
function readLabel(bytes: Uint8Array): string | null {
  let label = "";
  for (const byte of bytes) {
    if (byte < 0x21 || byte > 0x7e || byte === 0x2e) return null;
    label += String.fromCharCode(byte).toLowerCase();
  }
  return label;
}

function wordAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) << 8) | (bytes[offset + 1] as number);
}
