/** What the test's name server answers: a zone of names, each with what is odd about its answers. */
import {
  type AnswerRecord,
  addressData,
  encodeReply,
  loopingReply,
  type Question,
  questionSection,
  type Reply,
  TYPE,
  wireName,
} from "./dns-message.ts";

/** All that a name has. Nothing odd: its records in one good answer. */
export interface ZoneEntry {
  a?: readonly string[];
  aaaa?: readonly string[];
  /** Followed within the zone, as a resolver would. */
  cname?: string;
  /** Seconds; 300 where absent. */
  ttl?: number;
  txt?: string;
  rcode?: number;
  /** Over UDP: nothing but the truncation flag. */
  truncate?: boolean;
  /** No answer. */
  silent?: boolean;
  /** The answer has another transaction id. */
  wrongId?: boolean;
  /** The answer repeats another question. */
  wrongQuestion?: string;
  /** Address records of other names in the answer section, off the chain. */
  strangers?: Readonly<Record<string, string>>;
  /** Address records in the additional section. */
  additional?: Readonly<Record<string, string>>;
  /** The answer's name is a compression pointer to itself. */
  loop?: boolean;
  /** The answer's bytes, in hexadecimal; the first two are replaced by the id. */
  raw?: string;
}

/** By name, lower case; `*.name` is every name below it that is not listed. */
export type Zone = Readonly<Record<string, ZoneEntry>>;

const DEFAULT_TTL = 300;
const NXDOMAIN = 3;
const CHAIN_MAX = 20;

/** The bytes to send, null for silence. */
export function answer(zone: Zone, question: Question, transport: "udp" | "tcp"): Buffer | null {
  const entry = find(zone, question.name);
  const reply: Reply = {
    id: question.id,
    section: question.section,
    rcode: entry === undefined ? NXDOMAIN : (entry.rcode ?? 0),
    truncated: false,
    answers: [],
    additional: [],
    edns: question.edns,
  };
  if (entry === undefined) return encodeReply(reply);
  if (entry.silent === true) return null;
  if (entry.loop === true) return loopingReply(question);
  if (entry.raw !== undefined) return rawReply(entry.raw, question.id);
  if (entry.truncate === true && transport === "udp") return encodeReply({ ...reply, truncated: true });
  return encodeReply({
    ...reply,
    id: entry.wrongId === true ? question.id ^ 0x5555 : question.id,
    section: entry.wrongQuestion === undefined ? question.section : questionSection(entry.wrongQuestion, question.type),
    answers: [
      ...chain(zone, entry.wrongQuestion ?? question.name, entry, question.type),
      ...addresses(entry.strangers),
    ],
    additional: addresses(entry.additional),
  });
}

function find(zone: Zone, name: string): ZoneEntry | undefined {
  if (zone[name] !== undefined) return zone[name];
  const labels = name.split(".");
  for (let first = 1; first < labels.length; first++) {
    const entry = zone[`*.${labels.slice(first).join(".")}`];
    if (entry !== undefined) return entry;
  }
  return undefined;
}

function chain(zone: Zone, first: string, entry: ZoneEntry, type: number): AnswerRecord[] {
  const records: AnswerRecord[] = [];
  let name = first;
  for (let hops = 0; entry.cname !== undefined && hops < CHAIN_MAX; hops++) {
    records.push({ name, type: TYPE.CNAME, ttl: entry.ttl ?? DEFAULT_TTL, data: wireName(entry.cname) });
    name = entry.cname;
    entry = find(zone, name) ?? {};
  }
  return [...records, ...ownRecords(name, entry, type)];
}

function ownRecords(name: string, entry: ZoneEntry, type: number): AnswerRecord[] {
  const ttl = entry.ttl ?? DEFAULT_TTL;
  const record = (recordType: number, data: Buffer) => ({ name, type: recordType, ttl, data });
  if (type === TYPE.A) return (entry.a ?? []).map((address) => record(TYPE.A, addressData(address)));
  if (type === TYPE.AAAA) return (entry.aaaa ?? []).map((address) => record(TYPE.AAAA, addressData(address)));
  if (type === TYPE.TXT && entry.txt !== undefined) {
    return [record(TYPE.TXT, Buffer.from([entry.txt.length, ...Buffer.from(entry.txt)]))];
  }
  return [];
}

function addresses(records: Readonly<Record<string, string>> = {}): AnswerRecord[] {
  return Object.entries(records).map(([name, address]) => ({
    name,
    type: address.includes(":") ? TYPE.AAAA : TYPE.A,
    ttl: DEFAULT_TTL,
    data: addressData(address),
  }));
}

function rawReply(hex: string, id: number): Buffer {
  const bytes = Buffer.from(hex, "hex");
  bytes.writeUInt16BE(id, 0);
  return bytes;
}
