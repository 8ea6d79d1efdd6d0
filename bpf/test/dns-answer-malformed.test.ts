/** Section 5: answers that are ill-formed, cut off, compressed in circles, or hold nothing. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { EgressRules } from "../../src/api/types.ts";
import { PEER, RESOLVER, Scene } from "../../test/harness/scene.ts";
import { type AnswerFields, addressRecord, DNS_TYPE, pointer, record, wireName } from "../../test/packets/dns.ts";
import { tcp } from "../../test/packets/transport.ts";

const scene = new Scene("dns-malformed");
after(() => scene[Symbol.dispose]());

const NAME = "www.example.com";
const rules: EgressRules = {
  cidr4: [`${RESOLVER}/32`],
  fqdns: [NAME],
  l4: { protocols: ["tcp", "udp"] },
};

/** Asks, gets this answer, and tells the verdict of the answer. */
function resolve(answers: number[][], fields: AnswerFields = {}, asked = NAME) {
  assert.equal(scene.ask(asked, { type: fields.type ?? DNS_TYPE.A }), "Allowed");
  return scene.reply(asked, answers, fields);
}

/** Ports differ, so that each is a flow of its own. */
let port = 20000;
function connect(to: string) {
  port += 1;
  return scene.out(to, tcp({ from: port, to: 443, flags: "S" }));
}

describe("answers that are ill-formed", () => {
  test("cut off, or with records that are none: a violation; what came before is learned", () => {
    scene.allow(rules);
    assert.equal(resolve([addressRecord(PEER)], { answerCount: 2 }), "DnsMalformed");
    assert.equal(connect(PEER), "Allowed");
    assert.equal(resolve([record(DNS_TYPE.A, [1, 2, 3])]), "DnsMalformed");
    assert.equal(resolve([record(DNS_TYPE.AAAA, [1, 2, 3, 4])]), "DnsMalformed");
  });

  test("compression: loops, pointers forward and into the header", () => {
    scene.allow(rules);
    const here = 12 + wireName(NAME).length + 4;
    const wrong = [
      pointer(here),
      pointer(here + 2),
      pointer(0x3fff),
      pointer(0),
      pointer(11),
      [1, 97, ...pointer(here)],
    ];
    for (const owner of wrong) assert.equal(resolve([addressRecord(PEER, { owner })]), "DnsMalformed");
    assert.equal(connect(PEER), "Peer");
  });

  test("17 pointers in a row are one too many", () => {
    scene.allow(rules);
    const first = 12 + wireName(NAME).length + 4;
    /** A TXT record whose data is a ladder of pointers, each to the one before. */
    const ladder = (steps: number) => {
      const data = first + 2 + 10;
      const rungs = Array.from({ length: steps }, (_, step) => pointer(step === 0 ? 12 : data + 2 * (step - 1))).flat();
      return [record(DNS_TYPE.TXT, rungs), addressRecord(PEER, { owner: pointer(data + 2 * (steps - 1)) })];
    };
    assert.equal(resolve(ladder(16)), "DnsMalformed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(resolve(ladder(15)), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("with TC they are what fitted: no violation, and learned as far as they go", () => {
    scene.allow(rules);
    assert.equal(resolve([addressRecord(PEER)], { truncated: true, answerCount: 9 }), "Allowed");
    assert.equal(connect(PEER), "Allowed");
  });

  test("an error code is an answer", () => {
    scene.allow(rules);
    assert.equal(resolve([], { rcode: 3 }), "Allowed");
  });

  test("a question from the side that answers is none", () => {
    scene.allow(rules);
    scene.ask(NAME);
    assert.equal(scene.reply(NAME, [], { flags: 0x0100 }), "DnsMalformed");
  });

  test("the root teaches nothing", () => {
    scene.allow({ ...rules, fqdns: ["*"] });
    assert.equal(resolve([addressRecord(PEER, { owner: "" })], {}, ""), "Allowed");
    assert.equal(connect(PEER), "Peer");
    assert.equal(scene.harness.maps.learned.count(), 0);
  });
});
