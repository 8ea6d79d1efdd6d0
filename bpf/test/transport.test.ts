/** TCP, UDP, SCTP, ICMP and ICMPv6 headers: what is well-formed, and what is not. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { APP, OWN6, PEER, PEER6, Scene } from "../../test/harness/scene.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { ipv6 } from "../../test/packets/ip.ts";
import { HTTP_REQUEST } from "../../test/packets/payloads.ts";
import {
  icmp,
  icmpv6,
  PROTOCOL,
  ping,
  ping6,
  raw,
  sctp,
  type TcpFields,
  tcp,
  udp,
} from "../../test/packets/transport.ts";

const scene = new Scene("transport");
after(() => scene[Symbol.dispose]());
beforeEach(() => scene.allow({ cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: { protocols: ["any"] } }));

/** A transport of which only the first bytes are there. */
const cut = (transport: ReturnType<typeof raw>, length: number) =>
  raw(transport.protocol, transport.bytes.slice(0, length));

for (const peer of [PEER, PEER6]) {
  describe(`over ${peer === PEER ? "IPv4" : "IPv6"}`, () => {
    test("TCP: header lengths from 20 bytes up to the end of the packet", () => {
      const segment = (fields: Partial<TcpFields>) => tcp({ from: 4000, to: 80, flags: "S", ...fields });
      assert.equal(scene.out(peer, segment({})), "Allowed");
      assert.equal(scene.out(peer, segment({ options: Array(40).fill(1) })), "Allowed");
      assert.equal(scene.out(peer, segment({ headerWords: 4 })), "Malformed");
      assert.equal(scene.out(peer, segment({ headerWords: 0 })), "Malformed");
      assert.equal(scene.out(peer, segment({ headerWords: 6 })), "Malformed");
      assert.equal(scene.out(peer, cut(segment({}), 19)), "Malformed");
      assert.equal(scene.out(peer, raw(PROTOCOL.tcp)), "Malformed");
    });

    test("UDP: a length from 8 bytes up to the end of the packet; what lies behind it is not payload", () => {
      const length = (value: number) => udp({ from: 4000, to: 80, length: value }, "payload");
      assert.equal(scene.out(peer, length(15)), "Allowed");
      assert.equal(scene.out(peer, length(8)), "Allowed");
      for (const wrong of [0, 7, 16, 65535]) assert.equal(scene.out(peer, length(wrong)), "Malformed");
      assert.equal(scene.out(peer, cut(udp({ from: 4000, to: 80 }), 7)), "Malformed");
    });

    test("SCTP: a common header of 12 bytes", () => {
      assert.equal(scene.out(peer, sctp({ from: 4000, to: 80 })), "Allowed");
      assert.equal(scene.out(peer, cut(sctp({ from: 4000, to: 80 }), 11)), "Malformed");
    });

    test("ICMP: 8 bytes", () => {
      const echo = peer === PEER ? ping() : ping6();
      assert.equal(scene.out(peer, echo), "Allowed");
      assert.equal(scene.out(peer, cut(echo, 8)), "Allowed");
      assert.equal(scene.out(peer, cut(echo, 7)), "Malformed");
    });

    test("other protocols have no header that anybody reads", () => {
      for (const protocol of [47, 50, 89, 253]) assert.equal(scene.out(peer, raw(protocol, "x")), "Allowed");
    });
  });
}

test("ICMPv6 inside IPv4, and ICMP inside IPv6, are protocols like others: no neighbour discovery, no errors", () => {
  scene.begin({ actions: ["enforce"], processes: [] });
  assert.equal(scene.out(PEER, icmpv6({ type: 135 }, Array(16).fill(0)), {}), "Unattributed");
  assert.equal(scene.out(PEER6, icmp({ type: 3 }), {}), "Unattributed");
  const discovery = ipv6({ from: OWN6, to: PEER6, hopLimit: 255 }, icmpv6({ type: 135 }, Array(16).fill(0)));
  assert.equal(scene.outFrame(frame(discovery), { kernel: true }), "Allowed");
});

describe("GSO", () => {
  test("a UDP packet that will be cut up is looked at as one", () => {
    scene.allow({ cidr4: [`${PEER}/32`], l4: { protocols: ["udp"] }, l7: { protocols: ["http"] } });
    const facts = { process: APP, gsoSegments: 3, gsoSize: 12 };
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }, HTTP_REQUEST), facts), "Allowed");
  });

  test("a UDP length of the first segment does not hide the others", () => {
    scene.allow({ cidr4: [`${PEER}/32`], l4: { protocols: ["udp"] }, l7: { protocols: ["http"] } });
    const first = udp({ from: 4000, to: 80, length: 10 }, HTTP_REQUEST);
    assert.equal(scene.out(PEER, first, { process: APP, gsoSegments: 3, gsoSize: 2 }), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4001, to: 80, length: 10 }, HTTP_REQUEST)), "Application");
  });
});
