/** Section 5: DNS over TCP, where messages have their length before them and segments are cut anywhere. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { DNS_PARTS_SHARE } from "../../src/gen/abi.gen.ts";
import { APP, appSpec, PEER, RESOLVER, Scene } from "../../test/harness/scene.ts";
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
      assert.equal(send(good), "Allowed", "of no use to who waits for what is missing");
      assert.equal(send(bad.slice(cut), sent - good.length - bad.length + cut), "DnsName", "which stays refused");
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
    assert.equal(send(secret.slice(302), sent - 1), "DnsMalformed");
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

  test("nothing can be put before the first segment: where the stream starts is known from the SYN", () => {
    assert.equal(send(good, sent + bad.length), "Allowed");
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

  test("with urgent data, of which the resolver would read a byte less, they do not pass", () => {
    const urgent = (sequence: number, bytes: number[]) =>
      scene.out(RESOLVER, tcp({ from: ASKING, to: 53, flags: "PAU", sequence }, bytes));
    assert.equal(urgent(sent, good), "DnsMalformed");
    assert.equal(urgent(sent, []), "DnsMalformed", "where the byte is may be told ahead");
    assert.equal(send(good), "Allowed", "without, they do");
    assert.equal(
      scene.in(RESOLVER, tcp({ from: 53, to: ASKING, flags: "PAU", sequence: received }, reply)),
      "DnsMalformed",
    );
    assert.ok(!reaches(PEER), "an answer with urgent data teaches nothing");
    assert.equal(receive(reply), "Allowed");
    assert.ok(reaches(PEER));
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
      assert.deepEqual(scene.harness.errorCounts(), {});
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
    assert.deepEqual(scene.harness.errorCounts(), { DNS_ADDRESSES_LEFT: 1 });
  });

  test("what is sent again of a long one has been seen; what comes ahead waits for what is missing", () => {
    assert.equal(send(good), "Allowed");
    const start = received;
    assert.equal(receive(long.slice(0, 1400)), "Allowed");
    assert.equal(receive(long.slice(0, 1400), start), "Allowed");
    assert.equal(receive(long.slice(700, 2100), start + 700), "Allowed");
    for (let at = 2800; at < long.length; at += 1400) {
      assert.equal(receive(long.slice(at, at + 1400), start + at), "Allowed");
    }
    assert.equal(reaches(addresses[0] as string), false);
    assert.equal(receive(long.slice(2100, 2800), start + 2100), "Allowed");
    for (const address of addresses) assert.equal(reaches(address), true, address);
    assert.deepEqual(scene.harness.errorCounts(), {});
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

describe("segments that overtake each other", () => {
  const CUT = [1, 2, 3, 14, 15, 40];

  test("an answer in two, the second first, cut anywhere", () => {
    for (let cut = 1; cut < reply.length; cut += 1) {
      connect();
      assert.equal(send(good), "Allowed");
      const start = received;
      assert.equal(receive(reply.slice(cut), start + cut), "Allowed", `${cut} bytes`);
      assert.equal(reaches(PEER), false);
      assert.equal(receive(reply.slice(0, cut), start), "Allowed", `${cut} bytes`);
      assert.equal(reaches(PEER), true, `${cut} bytes`);
      assert.equal(send(good), "Allowed");
      assert.equal(receive(reply), "Allowed", "the next message is found behind it");
    }
    assert.deepEqual(scene.harness.errorCounts(), {});
  });

  test("in the middle of a message, of a length, and with messages behind it", () => {
    for (const [first, second] of CUT.flatMap((cut) => CUT.map((other) => [cut, cut + other] as const))) {
      connect();
      const stream = [...prefixed(answer(NAME, [addressRecord("192.0.2.1")])), ...reply];
      const start = received;
      assert.equal(send([...good, ...good]), "Allowed");
      assert.equal(receive(stream.slice(0, first), start), "Allowed");
      assert.equal(receive(stream.slice(second), start + second), "Allowed");
      assert.equal(receive(stream.slice(first, second), start + first), "Allowed");
      for (const address of ["192.0.2.1", PEER]) assert.equal(reaches(address), true, `${first} to ${second}`);
    }
  });

  test("several ahead, one behind the other; the part that ends in them goes on with the next", () => {
    assert.equal(send([...good, ...good]), "Allowed");
    const stream = [...reply, ...prefixed(answer(NAME, [addressRecord("192.0.2.1")]))];
    const start = received;
    for (let at = 20; at < stream.length - 5; at += 7) {
      assert.equal(receive(stream.slice(at, Math.min(at + 7, stream.length - 5)), start + at), "Allowed");
    }
    assert.equal(receive(stream.slice(20, 40), start + 20), "Allowed", "sent again");
    assert.equal(receive(stream.slice(0, 20), start), "Allowed");
    assert.equal(reaches(PEER), true);
    assert.equal(reaches("192.0.2.1"), false);
    assert.equal(receive(stream.slice(-5), start + stream.length - 5), "Allowed");
    assert.equal(reaches("192.0.2.1"), true);
  });

  test("over the end of the sequence numbers", () => {
    connect(appSpec(rules), 0xffff_fff0);
    assert.equal(send(good), "Allowed");
    const start = received;
    assert.equal(receive(reply.slice(30), start + 30), "Allowed");
    assert.equal(receive(reply.slice(0, 30), start), "Allowed");
    assert.equal(reaches(PEER), true);
  });

  test("again and again: what is not needed any more pushes out nothing that is", () => {
    for (let round = 0; round < 3 * DNS_PARTS_SHARE; round += 1) {
      assert.equal(send(good), "Allowed");
      const start = received;
      const parts = [start, start + 20];
      if (round % 5 !== 0) parts.reverse();
      for (const at of parts) {
        const end = at === start ? 20 : reply.length;
        assert.equal(receive(reply.slice(at - start, end), at), "Allowed", `round ${round}`);
      }
    }
    assert.equal(reaches(PEER), true);
    assert.deepEqual(scene.harness.errorCounts(), {});
  });

  test("what is wrong with an answer that came ahead is wrong with the segment that leads to it", () => {
    const stream = [...reply, ...good];
    assert.equal(send(good), "Allowed");
    const start = received;
    assert.equal(receive(stream.slice(10), start + 10), "Allowed");
    for (let count = 0; count < 3; count += 1) {
      assert.equal(receive(stream.slice(0, 10), start), "DnsMalformed", "a question from who answers");
    }
  });

  test("questions pass ahead if each is whole, and allowed by itself", () => {
    const start = sent;
    assert.equal(send([...good, ...good], start + good.length), "Allowed");
    assert.equal(send([...good, ...bad], start + 3 * good.length), "DnsName");
    assert.equal(send(good.slice(0, -1), start + 3 * good.length), "Capacity");
    assert.equal(send(good.slice(1), start + 3 * good.length), "Capacity");
    assert.equal(send(good, start), "Allowed");
    assert.equal(receive(reply), "Allowed");
    assert.equal(reaches(PEER), true);
    sent = start + 3 * good.length;
    assert.equal(send(good), "Allowed", "the stream goes on behind them");
    assert.deepEqual(scene.harness.errorCounts(), { DNS_SEGMENT_AHEAD: 2 });
  });

  test("questions that passed ahead are not made into others by what is put before them", () => {
    const start = sent;
    const inner = prefixed(question(NAME, { id: 3 }));
    const outer = question(NAME, { additional: [record(DNS_TYPE.TXT, inner)] });
    const before = prefixed(outer).slice(0, -inner.length);
    assert.equal(send(inner, start + before.length), "Allowed");
    assert.equal(send(before, start), "DnsMalformed");
    const lead = [...prefixed(bad), ...bad.slice(0, 20)];
    assert.equal(send(lead.slice(0, before.length), start), "DnsMalformed");
  });

  test("what cannot be kept comes again, under a reason of its own, counted", () => {
    assert.equal(send(good), "Allowed");
    const start = received;
    const filler = Array(1400).fill(0);
    assert.equal(receive(filler, start + 70_000), "Capacity", "too far");
    assert.equal(receive(reply.slice(20, 30), start + 20), "Allowed");
    assert.equal(receive(reply.slice(40), start + 40), "Capacity", "a second gap");
    for (let at = 30; at + 1400 < 20 + 8192; at += 1400) assert.equal(receive(filler, start + at), "Allowed");
    assert.equal(receive(filler, start + 30 + 5 * 1400), "Capacity", "8 KiB are full");
    assert.deepEqual(scene.harness.errorCounts(), { DNS_SEGMENT_AHEAD: 3 });
  });

  test("a workload's share: who fills it loses what came ahead first, and that connection stops", () => {
    const OWN = 6000;
    for (let own = OWN; own <= OWN + DNS_PARTS_SHARE; own += 1) {
      scene.out(RESOLVER, tcp({ from: own, to: 53, flags: "S", sequence: 9 }));
      scene.in(RESOLVER, tcp({ from: 53, to: own, flags: "SA", sequence: 9 }));
      assert.equal(scene.out(RESOLVER, tcp({ from: own, to: 53, sequence: 10 }, good)), "Allowed");
      assert.equal(scene.in(RESOLVER, tcp({ from: 53, to: own, sequence: 20 }, reply.slice(10))), "Allowed");
    }
    const goOn = (own: number, at: number, bytes: number[]) =>
      scene.in(RESOLVER, tcp({ from: 53, to: own, sequence: 10 + at }, bytes));
    assert.equal(goOn(OWN, 0, reply.slice(0, 10)), "Allowed");
    assert.equal(reaches(PEER), false);
    assert.equal(goOn(OWN, reply.length, reply), "Capacity");
    assert.deepEqual(scene.harness.errorCounts(), { DNS_PARTS_FULL: 1, DNS_SEGMENT_AHEAD: 1 });
    const last = OWN + DNS_PARTS_SHARE;
    assert.equal(goOn(last, 0, reply.slice(0, 10)), "Allowed");
    assert.equal(reaches(PEER), true);
    assert.equal(goOn(last, reply.length, reply), "Allowed");
  });

  test("a question that passed ahead and has been pushed out is made into no other one: its connection stops", () => {
    const start = sent;
    const inner = prefixed(question(NAME, { id: 3 }));
    const before = prefixed(question(NAME, { additional: [record(DNS_TYPE.TXT, inner)] })).slice(0, -inner.length);
    assert.equal(send(inner, start + before.length), "Allowed");
    const { dnsParts } = scene.harness.maps;
    for (const key of [...dnsParts.keys()]) dnsParts.delete(key);
    assert.equal(send(before, start), "Capacity");
    assert.equal(send(good, start), "Capacity", "whatever leads to it");
    assert.deepEqual(scene.harness.errorCounts(), { DNS_PARTS_FULL: 2 });
    connect();
    assert.equal(send(good), "Allowed", "another connection goes on");
  });

  test("what another socket sends ahead is judged, and not kept", () => {
    const both = [APP, OTHER].map(({ path }) => ({ path, network: { egress: rules } }));
    connect({ ...appSpec(rules), processes: both });
    const start = sent;
    const ahead = (bytes: number[]) => tcp({ from: ASKING, to: 53, sequence: start + good.length }, bytes);
    assert.equal(send(good.slice(0, 5)), "Allowed");
    assert.equal(scene.out(RESOLVER, ahead(bad), { process: OTHER, socketId: 7 }), "DnsName");
    assert.equal(scene.out(RESOLVER, ahead(good), { process: OTHER, socketId: 7 }), "Allowed");
    assert.equal(send(good.slice(5)), "Allowed");
    assert.equal(send(bad), "DnsName");
  });

  test("watched, not enforced: a stream with a gap goes on", () => {
    connect({ ...appSpec(rules), actions: [] });
    const watch = (bytes: number[], at: number) =>
      scene.watch(RESOLVER, tcp({ from: ASKING, to: 53, sequence: at }, bytes), { process: APP });
    const start = sent;
    assert.equal(watch(good, start + 70_000), "Capacity");
    assert.equal(watch(good, start + 70_000 + good.length), "Allowed");
    assert.equal(watch(good, start + 70_000 + 3 * good.length), "Allowed");
    assert.equal(watch([0, 2, 3], start + 70_000 + 2 * good.length), "DnsMalformed");
    assert.equal(watch(bad, start + 70_000 + 4 * good.length), "DnsName");
    assert.equal(watch(good, start + 70_000 + 4 * good.length + bad.length), "Allowed");
  });
});

test("while another packet of the connection is judged, one waits; if that takes too long, it comes again", () => {
  const { streamLocks } = scene.harness.maps;
  const hold = (isHeld: number) => streamLocks.setAll([...streamLocks.keys()].map((index) => [index, { isHeld }]));
  hold(1);
  assert.equal(send(bad), "Capacity");
  assert.equal(receive(reply), "Capacity");
  assert.equal(scene.ask(NAME), "Allowed", "over UDP, each is judged by itself");
  assert.deepEqual(scene.harness.errorCounts(), { DNS_STREAM_BUSY: 2 });
  hold(0);
  assert.equal(send(good, START + 1), "Allowed");
  assert.equal(receive(reply, START + 1), "Allowed");
  assert.equal(reaches(PEER), true);
  assert.ok([...streamLocks.entries()].every(([, { isHeld }]) => isHeld === 0));
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
