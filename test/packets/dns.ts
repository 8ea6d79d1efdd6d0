/** DNS messages (RFC 1035, 4.1), well-formed or not. */
import { addressBytes, type Bytes, long, text, word } from "./bytes.ts";

export const DNS_TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  SIG: 24,
  OPT: 41,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
} as const;
export const RCODE = { noError: 0, nameError: 3, refused: 5 } as const;

/** Bytes of the 16 flag bits. */
const RESPONSE = 0x8000;
const AUTHORITATIVE = 0x0400;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const RECURSION_AVAILABLE = 0x0080;

/** The question's name, as every answer may point to it. */
export const QUESTION_POINTER: readonly number[] = [0xc0, 12];

/** A name on the wire, uncompressed; "" is the root. Labels hold any byte but the dot. */
export function wireName(name: string): number[] {
  const labels = name === "" ? [] : name.split(".");
  return [...labels.flatMap((label) => [label.length, ...text(label)]), 0];
}

/** A pointer to an offset in the message. */
export function pointer(offset: number): number[] {
  return word(0xc000 | offset);
}

/** A name given as text, or as bytes as they are. */
export type NameField = string | Bytes;

function nameField(name: NameField): number[] {
  return typeof name === "string" ? wireName(name) : [...name];
}

export interface RecordFields {
  /** The question's name (a pointer to it) unless given. */
  owner?: NameField;
  ttl?: number;
  /** IN (1) unless given. */
  class?: number;
}

export function record(type: number, data: Bytes, fields: RecordFields = {}): number[] {
  const owner = nameField(fields.owner ?? QUESTION_POINTER);
  return [
    ...owner,
    ...word(type),
    ...word(fields.class ?? 1),
    ...long(fields.ttl ?? 300),
    ...word(data.length),
    ...data,
  ];
}

/** An A or AAAA record, as the address is. */
export function addressRecord(address: string, fields: RecordFields = {}): number[] {
  const bytes = addressBytes(address);
  return record(bytes.length === 4 ? DNS_TYPE.A : DNS_TYPE.AAAA, bytes, fields);
}

export function cnameRecord(target: NameField, fields: RecordFields = {}): number[] {
  return record(DNS_TYPE.CNAME, nameField(target), fields);
}

/** The pseudo-record of EDNS (RFC 6891), for the additional section. */
export function ednsRecord(options: Bytes[] = [], size = 1232): number[] {
  return record(
    DNS_TYPE.OPT,
    options.flatMap((option) => [...option]),
    { owner: "", class: size, ttl: 0 },
  );
}

/** The IANA "DNS EDNS0 Option Codes". */
export const EDNS_OPTION = { nsid: 3, clientSubnet: 8, expire: 9, cookie: 10, keepalive: 11, padding: 12 } as const;

export function ednsOption(code: number, data: Bytes): number[] {
  return [...word(code), ...word(data.length), ...data];
}

/** A start of authority: RFC 1035, 3.3.13. */
export function soaRecord(fields: RecordFields = {}): number[] {
  const numbers = [2026010101, 7200, 3600, 1209600, 3600].flatMap((number) => long(number));
  return record(DNS_TYPE.SOA, [...wireName("ns.example.com"), ...wireName("admin.example.com"), ...numbers], fields);
}

/** A signature of 32 bytes: RFC 8945, 4.2. */
export function tsigRecord(key: NameField = "key.example.com"): number[] {
  const data = [...wireName("hmac-sha256"), 0, 0, ...long(1), ...word(300), ...word(32), ...Array(32).fill(7)];
  return record(DNS_TYPE.TSIG, [...data, ...word(1), 0, 0, 0, 0], { owner: key, class: 255, ttl: 0 });
}

/** The bits of an opcode other than a query's, with "recursion desired". */
export const OPCODE_FLAGS = {
  inverse: 0x0900,
  status: 0x1100,
  notify: 0x2500,
  update: 0x2800,
  stateful: 0x3000,
} as const;

export interface MessageFields {
  id?: number;
  type?: number;
  /** IN (1) unless given. */
  class?: number;
  /** As they are written, right or wrong. */
  flags?: number;
  questionCount?: number;
  answerCount?: number;
  /** Sections behind the question, records one by one. */
  answers?: Bytes[];
  authorities?: Bytes[];
  additional?: Bytes[];
  /** Behind the message. */
  trailing?: Bytes;
}

/** A message with one question. */
export function dnsMessage(name: NameField, fields: MessageFields): number[] {
  const { answers = [], authorities = [], additional = [] } = fields;
  return [
    ...word(fields.id ?? 1),
    ...word(fields.flags ?? RECURSION_DESIRED),
    ...word(fields.questionCount ?? 1),
    ...word(fields.answerCount ?? answers.length),
    ...word(authorities.length),
    ...word(additional.length),
    ...nameField(name),
    ...word(fields.type ?? DNS_TYPE.A),
    ...word(fields.class ?? 1),
    ...[...answers, ...authorities, ...additional].flatMap((bytes) => [...bytes]),
    ...(fields.trailing ?? []),
  ];
}

export function question(name: NameField, fields: MessageFields = {}): number[] {
  return dnsMessage(name, fields);
}

export interface AnswerFields extends MessageFields {
  rcode?: number;
  truncated?: boolean;
}

export function answer(name: NameField, answers: Bytes[], fields: AnswerFields = {}): number[] {
  const flags =
    RESPONSE |
    AUTHORITATIVE |
    RECURSION_DESIRED |
    RECURSION_AVAILABLE |
    (fields.truncated ? TRUNCATED : 0) |
    (fields.rcode ?? 0);
  return dnsMessage(name, { flags, ...fields, answers });
}

/** A message as it goes over TCP: its length before it. */
export function prefixed(message: Bytes, length = message.length): number[] {
  return [...word(length), ...message];
}

/** The name in the random case of DNS 0x20. */
export function mixedCase(name: string): string {
  return [...name].map((letter, index) => (index % 2 === 0 ? letter.toUpperCase() : letter)).join("");
}
