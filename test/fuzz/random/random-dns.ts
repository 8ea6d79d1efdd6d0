/** Random DNS messages: well-formed, odd, and wrong. */
import type { Random } from "../../../src/policy/testing/random.ts";
import { long, word } from "../../packets/bytes.ts";
import {
  addressRecord,
  answer,
  cnameRecord,
  DNS_TYPE,
  ednsOption,
  ednsRecord,
  type MessageFields,
  mixedCase,
  OPCODE_FLAGS,
  pointer,
  QUESTION_POINTER,
  question,
  type RecordFields,
  record,
  soaRecord,
  tsigRecord,
  wireName,
} from "../../packets/dns.ts";
import { LONGEST_NAME, NAMES, PEERS4, PEERS6 } from "../world.ts";

/** A question on its way. */
export interface Asked {
  id: number;
  name: string;
  type: number;
}

export function randomAsked(random: Random): Asked {
  return {
    id: random.below(4),
    name: random.chance(0.05) ? oddName(random) : random.pick(NAMES),
    type: random.pick([DNS_TYPE.A, DNS_TYPE.A, DNS_TYPE.AAAA, DNS_TYPE.TXT, 255]),
  };
}

export function randomQuestion(random: Random, { id, name, type }: Asked): number[] {
  const asked = random.chance(0.3) ? mixedCase(name) : name;
  const fields = { id, type, ...(random.chance(0.3) ? { additional: [ednsRecord()] } : {}) };
  switch (random.below(20)) {
    case 0:
      return question(asked, { ...fields, questionCount: random.pick([0, 2, 65535]) });
    case 1:
      return question(random.pick([oddBytes(random), [0xc0, 12], [...wireName(name).slice(0, -1), 0xc0, 12]]), fields);
    case 2:
      return question(asked, { ...fields, flags: random.pick([0x0000, 0x0900, 0x2800, 0x8180, 0x7800]) });
    case 3:
      return question(asked, { ...fields, answers: [addressRecord(random.pick(PEERS4))] });
    case 4:
      return question(asked, { ...fields, trailing: [1, 2, 3] });
    case 5:
    case 6:
      return question(asked, { ...fields, additional: [randomOptions(random)] });
    case 7:
    case 8:
      return randomCarrier(random, asked, fields);
    case 9:
      return question(asked, { ...fields, class: random.pick([0, 2, 3, 4, 254, 255, 256]) });
    default:
      return question(asked, fields);
  }
}

/** EDNS, as resolvers write it, and with more than they would. */
function randomOptions(random: Random): number[] {
  const options = random.list(3, () => {
    const code = random.pick([3, 8, 10, 11, 12, 12, 65001]);
    const data = Array(random.pick([0, 8, 24, 40, 77])).fill(code === 12 && random.chance(0.8) ? 0 : 7);
    return ednsOption(code, data);
  });
  const cut = random.chance(0.1) ? [ednsOption(10, [1, 2, 3]).slice(0, 1 + random.below(6))] : [];
  const padding = random.chance(0.1) ? [ednsOption(12, Array(random.pick([511, 512, 513])).fill(0))] : [];
  return ednsRecord([...options, ...padding, ...cut]);
}

/** Messages with records of the sender's own: transfers, keys, signatures, notifications and updates. */
function randomCarrier(random: Random, asked: string, fields: MessageFields): number[] {
  const signature = random.chance(0.3) ? [tsigRecord()] : [];
  const edns = random.chance(0.3) ? [ednsRecord()] : [];
  const additional = random.shuffled([...signature, ...edns]);
  const type = random.chance(0.7) ? DNS_TYPE.IXFR : DNS_TYPE.A;
  const some = random.list(4, () => randomRecord(random, asked));
  switch (random.below(6)) {
    case 0:
      return question(asked, { ...fields, type, authorities: [soaRecord()], additional });
    case 1: {
      const key = record(random.chance(0.8) ? DNS_TYPE.TKEY : DNS_TYPE.TXT, Array(60).fill(5), { class: 255, ttl: 0 });
      return question(asked, { ...fields, type: DNS_TYPE.TKEY, additional: [key, ...additional] });
    }
    case 2:
      return question(asked, { ...fields, flags: OPCODE_FLAGS.notify, answers: [soaRecord()], additional });
    case 3:
      return question(asked, { ...fields, flags: OPCODE_FLAGS.update, authorities: some, additional });
    case 4:
      return question(asked, { ...fields, flags: random.pick(Object.values(OPCODE_FLAGS)) });
    default:
      return question(asked, { ...fields, additional });
  }
}

export function randomAnswer(random: Random, asked: Asked): number[] {
  const { name, type } = asked;
  const fields = {
    id: random.chance(0.06) ? asked.id + 1 : asked.id,
    type: random.chance(0.04) ? DNS_TYPE.MX : type,
    ...(random.chance(0.1) ? { rcode: 3 } : {}),
    ...(random.chance(0.1) ? { truncated: true } : {}),
    ...(random.chance(0.1) ? { answerCount: random.below(70) } : {}),
    ...(random.chance(0.2) ? { authorities: [addressRecord(random.pick(PEERS4))], additional: [ednsRecord()] } : {}),
  };
  if (random.chance(0.04)) return headerOnly(random, fields.id);
  const records = random.chance(0.02) ? manyRecords(random) : randomRecords(random, name);
  const said = random.chance(0.05) ? random.pick(NAMES) : random.chance(0.3) ? mixedCase(name) : name;
  const message = answer(said, records, fields);
  return random.chance(0.05) ? message.slice(0, random.below(message.length)) : message;
}

export function randomRecords(random: Random, name: string): number[][] {
  if (random.chance(0.25)) return cnameChain(random, name, 1 + random.below(random.chance(0.2) ? 36 : 3));
  return random.list(3, () => randomRecord(random, name));
}

function randomRecord(random: Random, name: string): number[] {
  const fields: RecordFields = { ttl: random.pick([0, 1, 10, 60, 90, 5000, 0xffff_ffff]) };
  switch (random.below(16)) {
    case 0:
      return addressRecord(random.pick(PEERS4), { ...fields, owner: random.pick(NAMES) });
    case 1:
      return addressRecord(random.pick(PEERS4), { ...fields, class: 3 });
    case 2:
      return record(DNS_TYPE.A, [1, 2, 3], fields);
    case 3:
      return record(DNS_TYPE.TXT, [3, 1, 2, 3], fields);
    case 4:
      return addressRecord(random.pick(PEERS4), { ...fields, owner: oddOwner(random) });
    case 5:
      return cnameRecord(random.pick(NAMES), fields);
    case 6:
      return [
        ...QUESTION_POINTER,
        ...word(DNS_TYPE.A),
        ...word(1),
        ...long(60),
        ...word(random.below(40)),
        10,
        0,
        0,
        1,
      ];
    case 7:
      return addressRecord(random.pick(PEERS4), { ...fields, owner: mixedCase(name) });
    case 8:
      return addressRecord("::ffff:10.1.2.3", fields);
    default:
      return addressRecord(random.pick(random.chance(0.6) ? PEERS4 : PEERS6), fields);
  }
}

/** question -> n1 -> n2 ..., and an address at its end. */
function cnameChain(random: Random, name: string, length: number): number[][] {
  const names = Array.from({ length }, (_, index) =>
    random.chance(0.02) ? name : `n${index}.${random.chance(0.8) ? "cdn" : "CDN"}.net`,
  );
  const links = names.map((target, index) => {
    const owner = index === 0 ? {} : { owner: names[index - 1] as string };
    return random.chance(0.04) ? record(DNS_TYPE.CNAME, oddBytes(random), owner) : cnameRecord(target, owner);
  });
  const end = addressRecord(random.pick(PEERS4), { owner: names.at(-1) as string, ttl: 30 });
  const all = [...links, end];
  return random.chance(0.3) ? random.shuffled(all) : all;
}

/** As many as fit into a test packet, and around as many as are learned. */
function manyRecords(random: Random): number[][] {
  const count = random.pick([60, 100, 200, 255, 256, 257, 259]);
  return Array.from({ length: count }, (_, index) => addressRecord(`192.0.${2 + (index >> 8)}.${index & 255}`));
}

/** An error that repeats nothing of the question. */
function headerOnly(random: Random, id: number): number[] {
  return [...word(id), ...word(random.pick([0x8181, 0x8180, 0x8000, 0x0100])), ...Array(8).fill(0)];
}

function oddOwner(random: Random): number[] {
  return random.pick([
    pointer(random.below(90)),
    [...wireName("www").slice(0, -1), ...pointer(12)],
    [0xc0],
    [0],
    pointer(0x3fff),
    [0x40, 1, 0],
    ...[oddBytes(random)],
  ]);
}

/** Text of names that are hardly ones. */
function oddName(random: Random): string {
  return random.pick([
    "",
    "a b.com",
    "ex_ample.com",
    "-.com",
    "xn--n3h.com",
    "\u00e9.com",
    "\u007f.com",
    "!~.com",
    "A",
    "dot in it",
    "ab",
  ]);
}

/** Names on the wire that break a rule, or just do not. */
function oddBytes(random: Random): number[] {
  const longest = wireName(LONGEST_NAME);
  return random.pick([
    [3, 97, 0, 98, 3, 65, 46, 66, 0],
    [5, 92, 48, 52, 54, 195, 0],
    [64, ...Array(64).fill(97), 0],
    [...longest.slice(0, -1), 1, 97, 0],
    [3, 97, 46, 98, 0],
    [2, 97, 0, 0],
    [1, 97],
    Array.from({ length: 127 }, () => [1, 97])
      .flat()
      .concat(0),
    Array.from({ length: 128 }, () => [1, 97])
      .flat()
      .concat(0),
    [0x80, 97, 0],
    [2, 0x20, 97, 0],
    [255],
  ]);
}
