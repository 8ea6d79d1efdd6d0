import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIp } from "../../table/addresses.ts";
import {
  addressBytes,
  type DnsOptions,
  dns,
  QUESTION_POINTER,
  record,
  text,
  wireName,
  word,
} from "../../testing/frames.ts";
import { Random } from "../../testing/random.ts";
import { parseDns, readAnswers, readCarried } from "./dns.ts";

const A = 1;
const CNAME = 5;
const TXT = 16;
const AAAA = 28;
const RESPONSE = 0x8180;

function parse(name: string | number[], more: DnsOptions = {}) {
  return parseDns(Uint8Array.from(dns(name, more)));
}

function learned(answers: number[][], more: DnsOptions = {}) {
  const bytes = Uint8Array.from(dns("www.example.com", { flags: RESPONSE, answers, ...more }));
  const message = parseDns(bytes);
  assert.ok(message);
  const { addresses, complete } = readAnswers(bytes, message);
  return { addresses: addresses.map(({ address, ttl }) => `${formatIp(address)} ${ttl}`), complete };
}

test("a question: id, type and name, in lower case (0x20 case)", () => {
  const message = parse("wWw.eXample.com", { id: 0x1234, type: AAAA });
  assert.deepEqual(
    [message?.id, message?.type, message?.name, message?.response],
    [0x1234, AAAA, "www.example.com", false],
  );
});

test("every byte may stand in a label; what is not printable, and the dot, by its number", () => {
  assert.equal(parse("_dns.a-b.c")?.name, "_dns.a-b.c");
  for (const byte of [0x00, 0x20, 0x2e, 0x5c, 0x7f, 0x80, 0xff]) {
    assert.equal(parse([1, byte, 0])?.name, `\\${String(byte).padStart(3, "0")}`);
  }
});

test("a question carries nothing, or records; what belongs to neither is malformed", () => {
  const carried = (more: DnsOptions, trailing: number[] = []) => {
    const bytes = Uint8Array.from([...dns("a.b", more), ...trailing]);
    const message = parseDns(bytes);
    return message && readCarried(bytes, message);
  };
  const edns = [0, ...word(41), ...word(4096), 0, 0, 0, 0, 0, 0];
  assert.equal(carried({}), "nothing");
  assert.equal(carried({ additional: edns }), "nothing");
  assert.equal(carried({ additional: edns }, [0]), null, "bytes behind the message");
  assert.equal(carried({ flags: 0x2800 }), "records");
});

test("names: at most 63 bytes a label and 255 on the wire; the root is one", () => {
  assert.equal(parse("")?.name, "");
  assert.ok(parse("x".repeat(63)));
  assert.equal(parse([64, ...text("x".repeat(64)), 0]), null);
  const longest = [63, 63, 63, 61].map((length) => "x".repeat(length)).join(".");
  assert.equal(parse(longest)?.name, longest);
  assert.equal(parse([63, 63, 63, 62].map((length) => "x".repeat(length)).join(".")), null);
});

test("a question that is compressed is malformed", () => {
  assert.equal(parse([0xc0, 12]), null);
  assert.equal(parse([1, 97, 0xc0, 12]), null);
});

test("several questions, none in what asks, and opcodes that ask for nothing by a name are malformed", () => {
  assert.equal(parse("a.b", { questions: 2 }), null);
  assert.equal(parse("a.b", { questions: 0 }), null);
  assert.equal(parse("a.b", { questions: 0, flags: RESPONSE })?.hasQuestion, false);
  for (const opcode of [1, 3, 6, 15]) assert.equal(parse("a.b", { flags: opcode << 11 }), null);
});

test("a message that is cut off within header or question is malformed", () => {
  const whole = dns("a.b");
  for (let length = 0; length < whole.length; length += 1) {
    assert.equal(parseDns(Uint8Array.from(whole.slice(0, length))), null, String(length));
  }
});

test("every A and AAAA record of the question counts, with its TTL", () => {
  const answers = [
    record(QUESTION_POINTER, A, 30, addressBytes("1.2.3.4")),
    record(wireName("WWW.example.com"), AAAA, 60, addressBytes("2001:db8::1")),
  ];
  assert.deepEqual(learned(answers), { addresses: ["1.2.3.4 30", "2001:db8::1 60"], complete: true });
});

test("answers count along the chain of CNAMEs that begins at the question", () => {
  const answers = [
    record(QUESTION_POINTER, CNAME, 30, wireName("a.cdn.net")),
    record(wireName("a.cdn.net"), CNAME, 30, wireName("b.cdn.net")),
    record(wireName("b.cdn.net"), A, 30, addressBytes("1.2.3.4")),
    record(wireName("other.net"), A, 30, addressBytes("6.6.6.6")),
  ];
  assert.deepEqual(learned(answers).addresses, ["1.2.3.4 30"]);
  assert.deepEqual(learned([...answers].reverse()).addresses, ["1.2.3.4 30"], "in any order");
});

test("a chain is followed for 32 records, and a loop in it ends", () => {
  const chain = (length: number) => [
    record(QUESTION_POINTER, CNAME, 1, wireName("c1.net")),
    ...Array.from({ length: length - 1 }, (_, index) =>
      record(wireName(`c${index + 1}.net`), CNAME, 1, wireName(`c${index + 2}.net`)),
    ),
    record(wireName(`c${length}.net`), A, 1, addressBytes("1.2.3.4")),
  ];
  assert.deepEqual(learned(chain(32)).addresses, ["1.2.3.4 1"]);
  assert.deepEqual(learned(chain(33)).addresses, []);
  const loop = [
    record(QUESTION_POINTER, CNAME, 1, wireName("a.net")),
    record(wireName("a.net"), CNAME, 1, QUESTION_POINTER),
  ];
  assert.deepEqual(learned(loop), { addresses: [], complete: true });
});

test("other classes and types teach nothing", () => {
  const answers = [
    record(QUESTION_POINTER, A, 1, addressBytes("1.2.3.4"), 3),
    record(QUESTION_POINTER, TXT, 1, text("x")),
  ];
  assert.deepEqual(learned(answers), { addresses: [], complete: true });
});

test("addresses of a wrong length, and records behind the end, are ill-formed", () => {
  assert.equal(learned([record(QUESTION_POINTER, A, 1, [1, 2, 3])]).complete, false);
  assert.equal(learned([record(QUESTION_POINTER, AAAA, 1, addressBytes("1.2.3.4"))]).complete, false);
  assert.equal(learned([], { answerCount: 1 }).complete, false);
  const cut = learned([record(QUESTION_POINTER, A, 1, addressBytes("1.2.3.4"))], { answerCount: 2 });
  assert.deepEqual(cut, { addresses: ["1.2.3.4 1"], complete: false });
});

test("compression leads strictly backwards, into the message, at most 16 times", () => {
  const owner = (bytes: number[]) => learned([record(bytes, A, 1, addressBytes("1.2.3.4"))]).complete;
  const start = 12 + wireName("www.example.com").length + 4;
  assert.equal(owner([0xc0, 12]), true);
  assert.equal(owner([0xc0, 11]), false, "into the header");
  assert.equal(owner([0xc0, start]), false, "to itself");
  assert.equal(owner([0xc0, start + 4]), false, "forwards");
  assert.equal(owner([0x40, 12]), false, "another kind of label");
  const pointers = (count: number) => {
    const answers = [
      record(
        QUESTION_POINTER,
        TXT,
        1,
        Array.from({ length: count }, (_, index) => 0xc000 | (index === 0 ? 12 : start + 12 + 2 * (index - 1))).flatMap(
          word,
        ),
      ),
    ];
    return learned([...answers, record([0xc0, start + 12 + 2 * (count - 1)], TXT, 1, [])]).complete;
  };
  assert.equal(pointers(15), true);
  assert.equal(pointers(16), false);
});

test("256 addresses of one answer are learned, the 257th is not", () => {
  const answers = Array.from({ length: 257 }, (_, index) => record(QUESTION_POINTER, A, 1, [10, 0, index >> 8, index]));
  const { addresses, complete } = learned(answers.map((bytes) => bytes.map((byte) => byte & 0xff)));
  assert.deepEqual([addresses.length, complete], [256, true]);
});

test("random and damaged messages never throw, and never hang", () => {
  const random = new Random(53);
  const seed = dns("www.example.com", {
    flags: RESPONSE,
    answers: [record(QUESTION_POINTER, CNAME, 1, [1, 97, 0xc0, 16]), record([0xc0, 44], A, 1, [1, 2, 3, 4])],
  });
  for (let round = 0; round < 5_000; round += 1) {
    const bytes = Uint8Array.from(seed);
    for (let change = 1 + random.below(4); change > 0; change -= 1)
      bytes[random.below(bytes.length)] = random.below(256);
    const message = parseDns(bytes);
    if (message !== null) readAnswers(bytes, message);
  }
});
