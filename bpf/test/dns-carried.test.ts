/**
 * Attacks: bytes carried away in questions that may be asked. Wherever a name may be asked, a question holds nothing but the
 * question and what honest resolvers put into EDNS; what carries records of the sender's needs `l7.dns`.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { PEER, RESOLVER, RESOLVER6, Scene } from "../../test/harness/scene.ts";
import {
  addressRecord,
  DNS_TYPE,
  EDNS_OPTION,
  ednsOption,
  ednsRecord,
  type MessageFields,
  mixedCase,
  OPCODE_FLAGS,
  prefixed,
  question,
  record,
  soaRecord,
  tsigRecord,
} from "../../test/packets/dns.ts";
import { tcp } from "../../test/packets/transport.ts";

const scene = new Scene("dns-carried");
after(() => scene[Symbol.dispose]());

const NAME = "www.example.com";
const resolvers: EgressRules = {
  cidr4: [`${RESOLVER}/32`],
  cidr6: [`${RESOLVER6}/128`],
  l4: { protocols: ["tcp", "udp"] },
};
/** What an attacker wants to get out. */
const SECRET = [...Buffer.from("the contents of a file that is nobody's business")];

/** Over UDP and TCP, IPv4 and IPv6: the verdict is one. */
function ask(fields: MessageFields, rules: EgressRules = { fqdns: [NAME] }): string {
  scene.allow({ ...resolvers, ...rules });
  const message = prefixed(question(NAME, fields));
  scene.out(RESOLVER, tcp({ from: 4000, to: 53, flags: "S", sequence: 9 }));
  const verdicts = [
    scene.ask(NAME, fields),
    scene.ask(NAME, fields, undefined, RESOLVER6),
    scene.out(RESOLVER, tcp({ from: 4000, to: 53, sequence: 10 }, message)),
  ];
  assert.equal(new Set(verdicts).size, 1, verdicts.join());
  return verdicts[0] as string;
}

const edns = (...options: number[][]) => ({ additional: [ednsRecord(options)] });
const zeros = (count: number) => Array<number>(count).fill(0);

describe("what honest resolvers send passes", () => {
  test("the question alone, in any case, of any type", () => {
    for (const type of [DNS_TYPE.A, DNS_TYPE.TXT, 10, 64, 65, 255, DNS_TYPE.AXFR])
      assert.equal(ask({ type }), "Allowed");
    assert.equal(scene.ask(mixedCase(NAME)), "Allowed");
  });

  test("EDNS, with cookies, client subnet, keepalive, NSID and padding of zeros, also all at once", () => {
    const cookie = ednsOption(EDNS_OPTION.cookie, Array(40).fill(7));
    const subnet = ednsOption(EDNS_OPTION.clientSubnet, [0, 2, 128, 0, ...Array(16).fill(9)]);
    const small = [EDNS_OPTION.nsid, EDNS_OPTION.expire, EDNS_OPTION.keepalive].map((code) => ednsOption(code, []));
    for (const option of [cookie, subnet, ...small]) assert.equal(ask(edns(option)), "Allowed");
    assert.equal(ask(edns(cookie, subnet, ...small, ednsOption(EDNS_OPTION.padding, zeros(512)))), "Allowed");
  });

  test("other classes than the Internet's: CHAOS asks a server its version", () => {
    assert.equal(ask({ class: 3, type: DNS_TYPE.TXT }), "Allowed");
  });
});

describe("what carries something away does not", () => {
  const refused: [string, MessageFields][] = [
    ["bytes behind the question", { trailing: SECRET }],
    ["one byte behind it", { trailing: [0] }],
    ["bytes behind EDNS", { ...edns(), trailing: SECRET }],
    ["answers in a question", { answers: [record(DNS_TYPE.TXT, SECRET)] }],
    ["authorities in a question", { authorities: [record(DNS_TYPE.TXT, SECRET)] }],
    ["a start of authority in a question that is no transfer", { authorities: [soaRecord()] }],
    ["additional records", { additional: [record(DNS_TYPE.TXT, SECRET)] }],
    ["an address as additional record", { additional: [addressRecord(PEER)] }],
    ["padding that is not of zeros", edns(ednsOption(EDNS_OPTION.padding, [...zeros(40), 1]))],
    ["padding of more than 512 bytes", edns(ednsOption(EDNS_OPTION.padding, zeros(513)))],
    ["a private option with data", edns(ednsOption(65001, Array(77).fill(1)))],
    ["data spread over several options", edns(...Array(4).fill(ednsOption(65001, Array(20).fill(1))))],
    ["nine options", edns(...Array(9).fill(ednsOption(65001, [])))],
    ["an option that goes beyond its record", edns([0, 10, 0, 40, 1])],
    ["EDNS twice", { additional: [ednsRecord(), ednsRecord()] }],
    ["EDNS with a name", { additional: [record(DNS_TYPE.OPT, [], { owner: "secret.example", class: 1232, ttl: 0 })] }],
    ["a key in a question for something else", { additional: [record(DNS_TYPE.TKEY, SECRET, { class: 255 })] }],
    ["a class that is none", { class: 0x5e17 }],
    ["opcodes that are not assigned", { flags: 0x3900 }],
    ["the obsolete inverse query", { flags: OPCODE_FLAGS.inverse }],
    ["a stateful operation", { flags: OPCODE_FLAGS.stateful }],
  ];
  for (const [title, fields] of refused) {
    test(`${title}: whichever rule lets the name be asked`, () => {
      assert.equal(ask(fields), "DnsMalformed");
      assert.equal(ask(fields, { l7: { dns: [NAME] } }), "DnsMalformed");
      assert.equal(ask(fields, {}), "DnsMalformed");
    });
  }

  test("a record that is cut off, and counts that promise more than there is", () => {
    scene.allow(resolvers);
    const whole = question(NAME, edns(ednsOption(EDNS_OPTION.cookie, Array(8).fill(1))));
    for (let length = question(NAME).length; length < whole.length; length += 1) {
      assert.equal(scene.out(RESOLVER, tcp({ from: 4000 + length, to: 53, flags: "S", sequence: 9 })), "Allowed");
      const cut = prefixed(whole.slice(0, length));
      assert.equal(scene.out(RESOLVER, tcp({ from: 4000 + length, to: 53, sequence: 10 }, cut)), "DnsMalformed");
    }
  });
});

describe("messages with records of the sender's: judged by the name of the question or zone, where `l7.dns` lists it", () => {
  const tkey = record(DNS_TYPE.TKEY, SECRET, { class: 255, ttl: 0 });
  const carriers: [string, MessageFields][] = [
    ["IXFR", { type: DNS_TYPE.IXFR, authorities: [soaRecord()] }],
    ["IXFR, signed", { type: DNS_TYPE.IXFR, authorities: [soaRecord()], additional: [ednsRecord(), tsigRecord()] }],
    ["a signed query", { additional: [tsigRecord()] }],
    ["a query with SIG(0)", { additional: [record(DNS_TYPE.SIG, Array(60).fill(1), { owner: "", class: 255 })] }],
    ["TKEY", { type: DNS_TYPE.TKEY, class: 255, additional: [tkey] }],
    ["NOTIFY", { flags: OPCODE_FLAGS.notify, type: DNS_TYPE.SOA, answers: [soaRecord()] }],
    ["STATUS", { flags: OPCODE_FLAGS.status }],
    [
      "UPDATE",
      {
        flags: OPCODE_FLAGS.update,
        type: DNS_TYPE.SOA,
        answers: [record(DNS_TYPE.A, [], { owner: "gone.example.com", class: 255, ttl: 0 })],
        authorities: [addressRecord(PEER, { owner: "new.example.com" }), record(DNS_TYPE.TXT, [3, 1, 2, 3])],
        additional: [tsigRecord()],
      },
    ],
  ];
  for (const [title, fields] of carriers) {
    test(title, () => {
      assert.equal(ask(fields, { l7: { dns: [NAME] } }), "Allowed");
      assert.equal(ask(fields, { l7: { dns: ["*.example.com"] } }), "Allowed");
      assert.equal(ask(fields, {}), "Allowed", "any name may be asked");
      assert.equal(ask(fields, { fqdns: [NAME] }), "DnsName", "to connect to a name needs no records");
      assert.equal(ask(fields, { l7: { dns: ["other.example.com"] } }), "DnsName");
      assert.equal(ask({ ...fields, trailing: [1] }, { l7: { dns: [NAME] } }), "DnsMalformed");
    });
  }

  test("a long update in several segments is judged by its first", () => {
    const records = Array.from({ length: 200 }, (_, index) => addressRecord(PEER, { owner: `n${index}.example.com` }));
    const update = { flags: OPCODE_FLAGS.update, type: DNS_TYPE.SOA, authorities: records };
    for (const [name, reason] of [
      [NAME, "Allowed"],
      ["evil.example", "DnsName"],
    ] as const) {
      scene.allow({ ...resolvers, l7: { dns: [NAME] } });
      scene.out(RESOLVER, tcp({ from: 4000, to: 53, flags: "S", sequence: 9 }));
      const bytes = prefixed(question(name, update));
      const segment = (from: number, to: number) =>
        tcp({ from: 4000, to: 53, sequence: 10 + from }, bytes.slice(from, to));
      assert.equal(scene.out(RESOLVER, segment(0, 1400)), reason);
      if (reason !== "Allowed") continue;
      for (let at = 1400; at < bytes.length; at += 1400) {
        assert.equal(scene.out(RESOLVER, segment(at, at + 1400)), "Allowed");
      }
      const next = tcp({ from: 4000, to: 53, sequence: 10 + bytes.length }, prefixed(question("evil.example")));
      assert.equal(scene.out(RESOLVER, next), "DnsName", "the next message is found where the update ends");
    }
  });
});
