/** Section 5: DNS over TCP, where messages have their length before them and segments are cut anywhere. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { word } from "../../test/packets/bytes.ts";
import {
  addressRecord,
  answer,
  DNS_TYPE,
  EDNS_OPTION,
  ednsOption,
  ednsRecord,
  prefixed,
  question,
  record,
} from "../../test/packets/dns.ts";
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

const OTHER = { path: "/bin/other" };

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

  test("as many in one segment as there are", () => {
    for (const count of [8, 9, 70]) {
      connect();
      assert.equal(send(Array(count).fill(good).flat()), "Allowed");
      assert.equal(send([...Array(count).fill(good).flat(), ...bad]), "DnsName");
    }
  });

  test("the length may come alone, the message after it is judged", () => {
    assert.equal(send(good.slice(0, 2)), "Allowed");
    assert.equal(send(good.slice(2)), "Allowed");
    assert.equal(send(bad.slice(0, 2)), "Allowed");
    assert.equal(send(bad.slice(2)), "DnsName");
  });

  test("a question may be cut anywhere: it is judged once its name is there, and again when it is whole", () => {
    for (let cut = 1; cut < good.length; cut += 1) {
      connect();
      assert.equal(send(good.slice(0, cut)), "Allowed", `${cut} bytes`);
      assert.equal(send([...good.slice(cut), ...good]), "Allowed", `${cut} bytes`);
      assert.equal(receive(reply), "Allowed");
      assert.equal(reaches(PEER), true);
    }
    for (let cut = 1; cut < bad.length - 1; cut += 1) {
      connect();
      assert.equal(send([...good, ...bad.slice(0, cut)]), "Allowed", `${cut} bytes`);
      assert.equal(send(bad.slice(cut)), "DnsName", `${cut} bytes`);
      assert.equal(send(bad.slice(cut), sent - bad.length + cut), "DnsName", "sent again");
      assert.equal(send(good), "DnsMalformed", "nothing gets past it");
    }
    connect();
    for (const byte of good) assert.equal(send([byte]), "Allowed");
    assert.equal(receive(reply), "Allowed");
    assert.equal(reaches(PEER), true);
  });

  test("what another socket sends under the connection's addresses takes no part in its questions", () => {
    const twice = {
      ...appSpec(rules),
      processes: [APP, OTHER].map(({ path }) => ({ path, network: { egress: rules } })),
    };
    const secret = prefixed(question(NAME.replace("www", "abc")));
    connect(twice);
    assert.equal(send(secret.slice(0, 18)), "Allowed", "up to the first label");
    const forged = tcp({ from: ASKING, to: 53, sequence: START + 1 }, good.slice(0, 18));
    assert.equal(scene.out(RESOLVER, forged, { process: OTHER, socketId: 7 }), "Allowed");
    assert.equal(send(secret.slice(18)), "DnsName");
  });

  test("no more than 300 bytes of a question leave before it is judged", () => {
    const padded = prefixed(
      question(NAME, { additional: [ednsRecord([ednsOption(EDNS_OPTION.padding, Array(400).fill(0))])] }),
    );
    const secret = prefixed(question(NAME, { additional: [record(DNS_TYPE.TXT, Array(400).fill(7))] }));
    assert.equal(send(padded), "Allowed");
    assert.equal(send(padded.slice(0, 302)), "Allowed");
    assert.equal(send(padded.slice(302)), "Allowed");
    connect();
    assert.equal(send(padded.slice(0, 303)), "DnsMalformed");
    connect();
    assert.equal(send(secret.slice(0, 302)), "Allowed");
    assert.equal(send(secret.slice(302, 303)), "DnsMalformed");
    assert.equal(send(secret.slice(302)), "DnsMalformed");
    connect();
    const endless = [
      ...word(5000),
      ...question(NAME).slice(0, 12),
      ...Array(70)
        .fill([63, ...Array(63).fill(97)])
        .flat(),
    ];
    assert.equal(send(endless.slice(0, 302)), "Allowed");
    assert.equal(send(endless.slice(302, 400)), "DnsMalformed");
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

  const addresses = Array.from({ length: 256 }, (_, index) => `2001:db8::${index.toString(16)}`);
  test("cut anywhere, also in their length", () => {
    for (let cut = 1; cut < reply.length; cut += 1) {
      connect();
      assert.equal(send(good), "Allowed");
      assert.equal(receive(reply.slice(0, cut)), "Allowed", `${cut} bytes`);
      assert.equal(reaches(PEER), false);
      assert.equal(receive(reply.slice(cut)), "Allowed", `${cut} bytes`);
      assert.equal(reaches(PEER), true, `${cut} bytes`);
    }
  });

  const long = prefixed(
    answer(
      NAME,
      addresses.map((address) => addressRecord(address)),
    ),
  );

  test("over several segments, cut anywhere: all addresses are learned once the last has come", () => {
    for (const size of [1400, 701, 333]) {
      connect();
      assert.equal(send(good), "Allowed");
      for (let at = 0; at < long.length; at += size) {
        assert.equal(reaches(addresses[0] as string), false);
        assert.equal(receive(long.slice(at, at + size)), "Allowed");
      }
      for (const address of addresses) assert.equal(reaches(address), true, address);
      assert.deepEqual(scene.rig.errorCounts(), {});
      assert.equal(send(good), "Allowed");
      assert.equal(receive(reply), "Allowed");
      assert.equal(reaches(PEER), true, "the next message is found where the long one ends");
    }
  });

  test("the 257th address of one answer is left out, and counted", () => {
    const more = Array.from({ length: 258 }, (_, index) => `10.9.${index >> 8}.${index & 255}`);
    const bytes = prefixed(
      answer(
        NAME,
        more.map((address) => addressRecord(address)),
      ),
    );
    assert.equal(send(good), "Allowed");
    for (let at = 0; at < bytes.length; at += 1400) assert.equal(receive(bytes.slice(at, at + 1400)), "Allowed");
    assert.equal(reaches("10.9.0.255"), true);
    assert.equal(reaches("10.9.1.0"), false);
    assert.deepEqual(scene.rig.errorCounts(), { DNS_ADDRESSES_LEFT: 1 });
  });

  test("what is sent again of a long one has been seen; a gap gives it up, counted, and its rest passes", () => {
    assert.equal(send(good), "Allowed");
    const start = received;
    assert.equal(receive(long.slice(0, 1400)), "Allowed");
    assert.equal(receive(long.slice(0, 1400), start), "Allowed");
    assert.equal(receive(long.slice(700, 2100), start + 700), "Allowed");
    for (let at = 2800; at < long.length; at += 1400) {
      assert.equal(receive(long.slice(at, at + 1400), start + at), "Allowed");
    }
    assert.equal(receive(long.slice(2100, 2800), start + 2100), "Allowed");
    assert.equal(reaches(addresses[0] as string), false);
    assert.deepEqual(scene.rig.errorCounts(), { DNS_ANSWERS_TRUNCATED: 1 });
    assert.equal(send(good), "Allowed");
    assert.equal(receive(reply), "Allowed");
    assert.equal(reaches(PEER), true);
  });

  test("one that turns out ill-formed is refused with its last segment, however often that is sent", () => {
    const bytes = prefixed(answer(NAME, [addressRecord(PEER), addressRecord(PEER)], { answerCount: 3 }));
    assert.equal(send(good), "Allowed");
    assert.equal(receive(bytes.slice(0, 50)), "Allowed");
    for (let count = 0; count < 3; count += 1) {
      assert.equal(receive(bytes.slice(50), received - (count === 0 ? 0 : bytes.length - 50)), "DnsMalformed");
    }
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
  assert.equal(judge([0, 2, 3]), "DnsMalformed");
  assert.equal(judge(good), "Allowed");
  assert.equal(judge([...good, 0, 11]), "DnsMalformed");
  assert.equal(judge(bad), "DnsName");
  assert.equal(judge(good), "Allowed");
});
