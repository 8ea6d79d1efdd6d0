/** IP fragments: the first one is judged, the others share its verdict. Section 5 ("IP fragments"), reason `Fragment`. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { APP, appSpec, incoming, OWN, OWN6, PEER, PEER6, Scene, STRANGER } from "../../test/harness/scene.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { fragmentHeader, fragments, ipv6, optionsHeader, routingHeader } from "../../test/packets/ip.ts";
import { PROTOCOL, raw, sctp, type Transport, tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("fragments");
after(() => scene[Symbol.dispose]());

const rules = {
  cidr4: [`${PEER}/32`],
  cidr6: [`${PEER6}/128`],
  l4: {
    protocolPorts: [
      { protocol: "udp" as const, port: 80 },
      { protocol: "tcp" as const, port: 80 },
    ],
  },
};
beforeEach(() => scene.allow(rules));

const payload = Array.from({ length: 100 }, (_, index) => index);

for (const [own, peer] of [
  [OWN, PEER],
  [OWN6, PEER6],
] as const) {
  const pieces = (transport: Transport, cuts: number[], identification = 7) =>
    fragments({ from: own, to: peer }, transport, cuts, identification).map((packet) => frame(packet));
  const verdicts = (frames: Buffer[]) => frames.map((bytes) => scene.outFrame(bytes));

  describe(own === OWN ? "IPv4" : "IPv6", () => {
    test("those of an allowed datagram pass", () => {
      assert.deepEqual(verdicts(pieces(udp({ from: 4000, to: 80 }, payload), [32, 64])), [
        "Allowed",
        "Allowed",
        "Allowed",
      ]);
    });

    test("those of a refused datagram are refused for the same reason", () => {
      assert.deepEqual(verdicts(pieces(udp({ from: 4000, to: 81 }, payload), [32, 64])), ["Port", "Port", "Port"]);
    });

    test("one whose first was never seen is a violation: also of another datagram, direction or protocol", () => {
      const [first, later] = pieces(udp({ from: 4000, to: 80 }, payload), [32]) as [Buffer, Buffer];
      assert.equal(scene.outFrame(later), "Fragment");
      assert.equal(scene.outFrame(first), "Allowed");
      assert.equal(scene.outFrame(pieces(udp({ from: 4000, to: 80 }, payload), [32], 8)[1] as Buffer), "Fragment");
      assert.equal(scene.outFrame(pieces(raw(PROTOCOL.tcp, payload), [32])[1] as Buffer), "Fragment");
      assert.equal(scene.outFrame(later), "Allowed");
    });

    test("they are of one sender: another's with the same number is a violation", () => {
      const [first, later] = pieces(udp({ from: 4000, to: 80 }, payload), [32]) as [Buffer, Buffer];
      assert.equal(scene.outFrame(first), "Allowed");
      for (const facts of [{}, { socketless: true }, { process: STRANGER }, { process: APP, socketId: 5 }]) {
        assert.equal(scene.outFrame(later, { socketId: 9, ...facts }), "Fragment");
      }
      assert.equal(scene.outFrame(later), "Allowed");
    });

    test("a later fragment may not reach into the first one, which has been judged by what it held", () => {
      const datagram = udp({ from: 4000, to: 80 }, payload);
      const [first] = pieces(datagram, [32]) as [Buffer];
      assert.equal(scene.outFrame(first), "Allowed");
      assert.equal(scene.outFrame(pieces(datagram, [24])[1] as Buffer), "Fragment");
      assert.equal(scene.outFrame(pieces(datagram, [32])[1] as Buffer), "Allowed");
      assert.equal(scene.outFrame(pieces(datagram, [40])[1] as Buffer), "Allowed");
    });

    test("what comes in may come out of order: nothing can be put together of it without a first that was judged", () => {
      scene.allow(null, rules);
      const ends = { from: peer, to: own };
      const [first, second, third] = fragments(ends, udp({ from: 4000, to: 80 }, payload), [32, 48]).map((packet) =>
        incoming(packet),
      ) as [Buffer, Buffer, Buffer];
      assert.equal(scene.inFrame(second), "Allowed");
      assert.equal(scene.inFrame(first, { process: APP }), "Allowed");
      assert.equal(scene.inFrame(third), "Allowed");
      const refused = fragments(ends, udp({ from: 4000, to: 81 }, payload), [32], 99).map((packet) => incoming(packet));
      assert.equal(scene.inFrame(refused[1] as Buffer), "Allowed");
      assert.equal(scene.inFrame(refused[0] as Buffer, { process: APP }), "Port");
      assert.equal(scene.inFrame(refused[1] as Buffer), "Port", "and from then on the others too");
      const tiny = fragments(ends, tcp({ from: 4000, to: 80 }, payload), [8], 98).map((packet) => incoming(packet));
      assert.deepEqual(
        tiny.map((bytes) => scene.inFrame(bytes, { process: APP })),
        ["Fragment", "Fragment"],
        "neither a first that hides its header nor what overlaps one",
      );
    });

    test("a first fragment that hides its L4 header is a violation", () => {
      assert.deepEqual(verdicts(pieces(tcp({ from: 4000, to: 80, flags: "S" }, payload), [8])), [
        "Fragment",
        "Fragment",
      ]);
      assert.equal(verdicts(pieces(raw(PROTOCOL.udp, payload.slice(0, 4)), []))[0], "Malformed");
    });

    test("a later fragment may not begin within the L4 header", () => {
      const begins = (transport: Transport, offset: number) => scene.outFrame(pieces(transport, [offset])[1] as Buffer);
      assert.equal(scene.outFrame(pieces(tcp({ from: 4000, to: 80 }, payload), [24], 3)[0] as Buffer), "Allowed");
      for (const offset of [8, 16]) {
        const overlapping = pieces(tcp({ from: 4000, to: 80 }, payload), [offset], 3)[1] as Buffer;
        assert.equal(scene.outFrame(overlapping), "Fragment");
      }
      assert.equal(begins(sctp({ from: 4000, to: 80 }, payload), 8), "Fragment");
      assert.equal(scene.outFrame(pieces(tcp({ from: 4000, to: 80 }, payload), [24], 3)[1] as Buffer), "Allowed");
    });

    test("a verdict holds for a minute, and under its own rules only", () => {
      const [first, later] = pieces(udp({ from: 4000, to: 80 }, payload), [32]) as [Buffer, Buffer];
      assert.equal(scene.outFrame(first), "Allowed");
      scene.harness.advance(59);
      assert.equal(scene.outFrame(later), "Allowed");
      scene.harness.advance(2);
      assert.equal(scene.outFrame(later), "Fragment");
      assert.equal(scene.outFrame(first), "Allowed");
      scene.change(appSpec({ ...rules, cidr4: ["0.0.0.0/0"] }));
      assert.equal(scene.outFrame(later), "Fragment");
    });

    test("incoming ones likewise", () => {
      scene.allow(null, rules);
      const ends = { from: peer, to: own };
      const datagram = fragments(ends, udp({ from: 4000, to: 80 }, payload), [48]);
      const frames = datagram.map((packet) => incoming(packet));
      assert.deepEqual(
        frames.map((bytes) => scene.inFrame(bytes, { process: APP })),
        ["Allowed", "Allowed"],
      );
    });

    test("the first fragment's length is that of the whole datagram", () => {
      const [first] = pieces(udp({ from: 4000, to: 80 }, payload), [64]) as [Buffer];
      assert.equal(scene.outFrame(first), "Allowed");
    });
  });
}

test("a whole IPv6 datagram with a fragment header is none (RFC 6946)", () => {
  const atomic = fragmentHeader({ identification: 9, offset: 0, more: false });
  const bytes = frame(ipv6({ from: OWN6, to: PEER6, extensions: [atomic] }, udp({ from: 4000, to: 80 }, "x")));
  assert.equal(scene.outFrame(bytes), "Allowed");
});

test("extension headers before the fragment header are read, those behind it belong to the fragment", () => {
  const later = fragmentHeader({ identification: 9, offset: 64, more: false });
  const extensions = [optionsHeader(PROTOCOL.hopByHop), routingHeader(), later];
  assert.equal(
    scene.outFrame(frame(ipv6({ from: OWN6, to: PEER6, extensions }, raw(PROTOCOL.udp, payload)))),
    "Fragment",
  );
});
