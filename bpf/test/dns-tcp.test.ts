/** Section 5: DNS over TCP, where messages have their length before them and segments are cut anywhere. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { addressRecord, answer, prefixed, question } from "../../test/packets/dns.ts";
import { tcp } from "../../test/packets/transport.ts";
import { APP, appSpec, PEER, RESOLVER, Scene } from "../../test/rig/scene.ts";

const scene = new Scene("dns-tcp");
after(() => scene[Symbol.dispose]());

const NAME = "www.example.com";
const rules = {
  cidr4: [`${RESOLVER}/32`],
  fqdns: [NAME, "*.example.org"],
  l4: { protocols: ["tcp" as const, "udp" as const] },
};
const START = 1000;
const ASKING = 5000;

/** Sequence numbers of either side behind the handshake. */
let sent = 0;
let received = 0;

function connect(spec = appSpec(rules), start = START) {
  scene.begin(spec);
  assert.equal(scene.out(RESOLVER, tcp({ from: ASKING, to: 53, flags: "S", sequence: start })), "Allowed");
  assert.equal(scene.in(RESOLVER, tcp({ from: 53, to: ASKING, flags: "SA", sequence: start })), "Allowed");
  sent = start + 1;
  received = start + 1;
}

beforeEach(() => connect());

/** Sends the next bytes of the stream, or those at `at`. */
function send(bytes: number[], at = sent) {
  sent = Math.max(sent, at + bytes.length);
  return scene.out(RESOLVER, tcp({ from: ASKING, to: 53, sequence: at >>> 0 }, bytes));
}

function receive(bytes: number[], at = received) {
  received = Math.max(received, at + bytes.length);
  return scene.in(RESOLVER, tcp({ from: 53, to: ASKING, sequence: at >>> 0 }, bytes));
}

let port = 30000;
function reaches(to: string): boolean {
  port += 1;
  return scene.out(to, tcp({ from: port, to: 443, flags: "S" })) === "Allowed";
}

const good = prefixed(question(NAME));
const bad = prefixed(question("evil.example"));
const reply = prefixed(answer(NAME, [addressRecord(PEER)]));

describe("questions", () => {
  test("one segment, one question", () => {
    assert.equal(send(good), "Allowed");
    assert.equal(send(bad), "DnsName");
  });

  test("several in one segment: each is judged, the first that fails decides", () => {
    assert.equal(send([...good, ...good, ...good]), "Allowed");
    assert.equal(send([...good, ...bad, ...good]), "DnsName");
  });

  test("eight in one segment, and no more", () => {
    assert.equal(send(Array(8).fill(good).flat()), "Allowed");
    assert.equal(send(Array(9).fill(good).flat()), "DnsMalformed");
  });

  test("the length may come alone, the message after it is judged", () => {
    assert.equal(send(good.slice(0, 2)), "Allowed");
    assert.equal(send(good.slice(2)), "Allowed");
    assert.equal(send(bad.slice(0, 2)), "Allowed");
    assert.equal(send(bad.slice(2)), "DnsName");
  });

  test("a question in two pieces, or half a length, is a violation", () => {
    for (const cut of [1, 3, 14, good.length - 1]) {
      connect();
      assert.equal(send(good.slice(0, cut)), "DnsMalformed", `${cut} bytes`);
    }
  });

  test("a length below a header's is ill-formed, and so is what is no DNS", () => {
    assert.equal(send(prefixed(Array(11).fill(0))), "DnsMalformed");
    connect();
    assert.equal(send([...Buffer.from("GET / HTTP/1.1\r\n\r\n")]), "DnsMalformed");
  });

  test("the SYN may carry one", () => {
    const segment = (payload: number[]) => tcp({ from: 6000, to: 53, flags: "S", sequence: 77 }, payload);
    assert.equal(scene.out(RESOLVER, segment(good)), "Allowed");
    assert.equal(scene.out(RESOLVER, segment(bad)), "DnsName");
  });
});

describe("sequence numbers", () => {
  test("what is sent again has been judged; what is new behind it has not", () => {
    assert.equal(send(good), "Allowed");
    const before = sent - good.length;
    assert.equal(send(good, before), "Allowed");
    assert.equal(send(bad, before), "Allowed", "the receiver keeps what came first");
    assert.equal(send([...good, ...bad], before), "DnsName");
    assert.equal(send([...good, ...good], before), "Allowed");
  });

  test("a gap cannot be judged", () => {
    assert.equal(send(good, sent + 5), "DnsMalformed");
    sent = START + 1;
    assert.equal(send(good), "Allowed");
  });

  test("nothing can be put before the first segment: where the stream starts is known from the SYN", () => {
    assert.equal(send(good, sent + bad.length), "DnsMalformed");
    assert.equal(send(bad, START + 1), "DnsName");
  });

  test("they wrap around", () => {
    connect(appSpec(rules), 0xffff_fffa);
    for (let count = 0; count < 3; count += 1) assert.equal(send(good), "Allowed");
    assert.equal(send(bad), "DnsName");
  });

  test("a refused question may not be slipped in by a second try", () => {
    const at = sent;
    assert.equal(send(bad), "DnsName");
    assert.equal(send(bad, at), "DnsName");
    assert.equal(send(good, at), "Allowed");
  });

  test("empty segments and acknowledgements pass", () => {
    assert.equal(scene.out(RESOLVER, tcp({ from: ASKING, to: 53, flags: "A", sequence: 99 })), "Allowed");
    assert.equal(scene.out(RESOLVER, tcp({ from: ASKING, to: 53, flags: "FA", sequence: 99 })), "Allowed");
  });
});

describe("answers", () => {
  test("teach as over UDP: the retry after TC", () => {
    assert.equal(send(good), "Allowed");
    assert.equal(reaches(PEER), false);
    assert.equal(receive(reply), "Allowed");
    assert.equal(reaches(PEER), true);
  });

  test("several in one segment, to several questions", () => {
    const others = [2, 3].map((id) => question(`n${id}.example.org`, { id }));
    assert.equal(send([...good, ...others.flatMap((message) => prefixed(message))]), "Allowed");
    const replies = [2, 3].map((id) => answer(`n${id}.example.org`, [addressRecord(`192.0.2.${id}`)], { id }));
    assert.equal(receive([...replies.flatMap((message) => prefixed(message)), ...reply]), "Allowed");
    for (const address of [PEER, "192.0.2.2", "192.0.2.3"]) assert.equal(reaches(address), true);
  });

  test("over several segments: learned as far as the first goes, counted, the rest passes", () => {
    const records = Array.from({ length: 40 }, (_, index) => addressRecord(`198.51.100.${index}`));
    const long = prefixed(answer(NAME, records));
    assert.equal(send(good), "Allowed");
    assert.equal(receive(long.slice(0, 200)), "Allowed");
    assert.equal(receive(long.slice(200, 400)), "Allowed");
    assert.equal(receive(long.slice(400)), "Allowed");
    assert.equal(reaches("198.51.100.0"), true);
    assert.equal(reaches("198.51.100.39"), false);
    assert.equal(scene.rig.errorCounts().DNS_ANSWERS_TRUNCATED, 1);
    assert.equal(send(good), "Allowed");
    assert.equal(receive(reply), "Allowed");
    assert.equal(reaches(PEER), true, "the next message is found where the long one ends");
  });

  test("their length alone, then the message", () => {
    assert.equal(send(good), "Allowed");
    assert.equal(receive(reply.slice(0, 2)), "Allowed");
    assert.equal(receive(reply.slice(2)), "Allowed");
    assert.equal(reaches(PEER), true);
  });

  test("a question that comes as an answer is none", () => {
    assert.equal(receive(good), "DnsMalformed");
  });
});

test("watched, not enforced: after what could not be read it goes on with the next segment", () => {
  connect({ ...appSpec(rules), actions: [] });
  const judge = (bytes: number[]) => {
    const before = sent;
    sent += bytes.length;
    const segment = tcp({ from: ASKING, to: 53, sequence: before }, bytes);
    return scene.watch(RESOLVER, segment, { process: APP });
  };
  assert.equal(judge([1, 2, 3]), "DnsMalformed");
  assert.equal(judge(good), "Allowed");
  assert.equal(judge(Array(9).fill(good).flat()), "DnsMalformed");
  assert.equal(judge(bad), "DnsName");
  assert.equal(judge(good), "Allowed");
});
