/** DNS messages of the test's name server: just enough of RFC 1035 to answer, and to answer wrongly on demand. */

export const TYPE = { A: 1, CNAME: 5, TXT: 16, AAAA: 28, OPT: 41 } as const;

export interface Question {
  id: number;
  name: string;
  type: number;
  /** The question section as it was sent, with the letter case that was asked for. */
  section: Buffer;
  count: number;
  edns: boolean;
}

export interface AnswerRecord {
  name: string;
  type: number;
  ttl: number;
  data: Buffer;
}

export interface Reply {
  id: number;
  section: Buffer;
  rcode: number;
  truncated: boolean;
  answers: AnswerRecord[];
  additional: AnswerRecord[];
  edns: boolean;
}

const HEADER = 12;
const CLASS_IN = 1;
const FLAGS = { response: 0x8000, truncated: 0x0200, recursionDesired: 0x0100, recursionAvailable: 0x0080 };

/** Null for what is no query. */
export function parseQuestion(message: Buffer): Question | null {
  if (message.length < HEADER || (message.readUInt16BE(2) & FLAGS.response) !== 0) return null;
  const labels: string[] = [];
  let at = HEADER;
  for (let length = message[at]; length !== undefined && length !== 0; length = message[at]) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  if (at + 5 > message.length) return null;
  return {
    id: message.readUInt16BE(0),
    name: labels.join(".").toLowerCase(),
    type: message.readUInt16BE(at + 1),
    section: message.subarray(HEADER, at + 5),
    count: message.readUInt16BE(4),
    edns: message.readUInt16BE(10) > 0,
  };
}

/** A question section for another name than was asked. */
export function questionSection(name: string, type: number): Buffer {
  return Buffer.concat([wireName(name), words(type, CLASS_IN)]);
}

export function encodeReply({ id, section, rcode, truncated, answers, additional, edns }: Reply): Buffer {
  const flags =
    FLAGS.response | FLAGS.recursionDesired | FLAGS.recursionAvailable | (truncated ? FLAGS.truncated : 0) | rcode;
  const records = [...answers, ...additional].map(encodeRecord);
  // OPT, RFC 6891: the root's name, 1232 bytes, no flags.
  if (edns) records.push(Buffer.from([0, 0, TYPE.OPT, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]));
  return Buffer.concat([
    words(id, flags, 1, answers.length, 0, additional.length + (edns ? 1 : 0)),
    section,
    ...records,
  ]);
}

/** An answer whose name is a pointer to itself. */
export function loopingReply({ id, section }: Question): Buffer {
  const header = words(id, FLAGS.response, 1, 1, 0, 0);
  const at = header.length + section.length;
  const pointer = words(0xc000 | at, TYPE.A, CLASS_IN, 0, 60, 4);
  return Buffer.concat([header, section, pointer, Buffer.from([192, 0, 2, 1])]);
}

export function wireName(name: string): Buffer {
  const labels = name
    .split(".")
    .filter((label) => label !== "")
    .map((label) => Buffer.from(label));
  return Buffer.concat([...labels.map((label) => Buffer.from([label.length, ...label])), Buffer.from([0])]);
}

export function addressData(address: string): Buffer {
  if (!address.includes(":")) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = address.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const middle = new Array<string>(8 - left.length - right.length).fill("0");
  return words(...[...left, ...middle, ...right].map((group) => Number.parseInt(group, 16)));
}

function encodeRecord({ name, type, ttl, data }: AnswerRecord): Buffer {
  return Buffer.concat([wireName(name), words(type, CLASS_IN, ttl >>> 16, ttl & 0xffff, data.length), data]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, index) => {
    bytes.writeUInt16BE(value, index * 2);
  });
  return bytes;
}
