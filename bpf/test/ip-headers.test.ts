/** IPv4 and IPv6 headers: options, extension headers, and what is ill-formed. Section 6: nothing passes for want of parsing. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { OWN, OWN6, PEER, PEER6, Scene } from "../../test/harness/scene.ts";
import { ETHERTYPE, frame } from "../../test/packets/ethernet.ts";
import {
  authenticationHeader,
  type Extension,
  fragmentHeader,
  type Ipv4Fields,
  type Ipv6Fields,
  ipv4,
  ipv6,
  optionsHeader,
  routingHeader,
  segmentRouting,
  sourceRoute,
} from "../../test/packets/ip.ts";
import { PROTOCOL, raw, type Transport, tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("ip-headers");
after(() => scene[Symbol.dispose]());
beforeEach(() =>
  scene.allow({
    cidr4: [`${PEER}/32`],
    cidr6: [`${PEER6}/128`],
    l4: { protocolPorts: [{ protocol: "udp", port: 80 }] },
  }),
);

const datagram = udp({ from: 4000, to: 80 }, "hello");
const elsewhere = udp({ from: 4000, to: 81 }, "hello");

function send4(fields: Partial<Ipv4Fields> = {}, transport: Transport = datagram, padding = 0) {
  return scene.outFrame(frame(ipv4({ from: OWN, to: PEER, ...fields }, transport), { type: ETHERTYPE.ipv4, padding }));
}

function send6(fields: Partial<Ipv6Fields> = {}, transport: Transport = datagram, padding = 0) {
  return scene.outFrame(
    frame(ipv6({ from: OWN6, to: PEER6, ...fields }, transport), { type: ETHERTYPE.ipv6, padding }),
  );
}

describe("IPv4", () => {
  test("options are stepped over, up to the longest header", () => {
    for (let words = 0; words <= 10; words += 1) {
      assert.equal(send4({ options: Array(words * 4).fill(1) }), "Allowed");
      assert.equal(send4({ options: Array(words * 4).fill(1) }, elsewhere), "Port");
    }
  });

  test("source routes lead on to somebody else, and what cannot be read may hold one", () => {
    const routerAlert = [148, 4, 0, 0];
    assert.equal(send4({ options: routerAlert }), "Allowed");
    assert.equal(send4({ options: [0, 131, 7, 4] }), "Allowed", "behind the end of the list");
    for (const kind of [131, 137]) {
      const route = [...sourceRoute(kind, ["192.0.2.1"]), 0];
      assert.equal(send4({ options: route }), "Malformed");
      assert.equal(send4({ options: [1, 1, 1, 1, ...routerAlert, ...route] }), "Malformed");
      assert.equal(scene.inFrame(frame(ipv4({ from: PEER, to: OWN, options: route }, datagram))), "Malformed");
    }
    for (const options of [
      [7, 0, 0, 0],
      [7, 1, 0, 0],
      [7, 5, 0, 0],
      [1, 1, 1, 7],
    ]) {
      assert.equal(send4({ options }), "Malformed");
    }
  });

  test("what lies behind the total length is padding", () => {
    assert.equal(send4({}, datagram, 40), "Allowed");
  });

  test("wrong versions and header lengths are ill-formed", () => {
    for (const version of [0, 5, 6, 15]) assert.equal(send4({ version }), "Malformed");
    for (const headerWords of [0, 1, 4]) assert.equal(send4({ headerWords }), "Malformed");
    assert.equal(send4({ headerWords: 15 }), "Malformed");
  });

  test("a total length below the header, or beyond the frame, is ill-formed", () => {
    for (const totalLength of [0, 19, 34, 65535]) assert.equal(send4({ totalLength }), "Malformed");
  });

  test("a total length of 0 is that of a BIG TCP packet, if it is to be cut up", () => {
    scene.allow({ cidr4: [`${PEER}/32`], l4: { protocols: ["tcp"] } });
    const bytes = frame(ipv4({ from: OWN, to: PEER, totalLength: 0 }, tcp({ from: 4000, to: 80 }, "data")));
    assert.equal(scene.outFrame(bytes), "Malformed");
    assert.equal(scene.outFrame(bytes, { process: { path: "/bin/app" }, gsoSegments: 2, gsoSize: 2 }), "Allowed");
  });

  test("a frame shorter than its header never gets so far, and one that is cut in the L4 header is ill-formed", () => {
    const whole = frame(ipv4({ from: OWN, to: PEER }, datagram));
    assert.equal(scene.outFrame(whole.subarray(0, 34 + 7)), "Malformed");
  });
});

describe("IPv6", () => {
  const chain = (...extensions: Extension[]) => send6({ extensions });

  test("each extension header is stepped over, alone and together", () => {
    assert.equal(chain(optionsHeader(PROTOCOL.hopByHop)), "Allowed");
    assert.equal(chain(optionsHeader(PROTOCOL.destinationOptions, 4)), "Allowed");
    assert.equal(chain(routingHeader()), "Allowed");
    assert.equal(chain(authenticationHeader()), "Allowed");
    assert.equal(chain(fragmentHeader({ identification: 1, offset: 0, more: false })), "Allowed");
    const all = [optionsHeader(PROTOCOL.hopByHop), routingHeader(), authenticationHeader(), optionsHeader(60)];
    assert.equal(chain(...all), "Allowed");
    assert.equal(send6({ extensions: all }, elsewhere), "Port");
  });

  test("a routing header with stops left leads on to somebody else", () => {
    assert.equal(chain(routingHeader(1)), "Malformed");
    assert.equal(chain(optionsHeader(PROTOCOL.hopByHop), segmentRouting([PEER6, "2001:db8::9"])), "Malformed");
    assert.equal(chain(segmentRouting([PEER6])), "Allowed", "the last stop");
    const bytes = frame(ipv6({ from: PEER6, to: OWN6, extensions: [routingHeader(1)] }, datagram));
    assert.equal(scene.inFrame(bytes), "Malformed");
  });

  test("eight are read, the ninth is one too many, be it what it may", () => {
    const eight = Array.from({ length: 8 }, () => optionsHeader(PROTOCOL.destinationOptions));
    assert.equal(chain(...eight), "Allowed");
    assert.equal(chain(...eight, routingHeader()), "Malformed");
    assert.equal(chain(...eight, fragmentHeader({ identification: 1, offset: 64, more: false })), "Malformed");
  });

  test("an extension header that reaches beyond the packet is ill-formed", () => {
    const long = { header: PROTOCOL.destinationOptions, bytes: [200, 1, 4, 0, 0, 0, 0] };
    assert.equal(chain(long), "Malformed");
    assert.equal(send6({ extensions: [{ header: PROTOCOL.hopByHop, bytes: [0, 1] }] }, raw(PROTOCOL.udp)), "Malformed");
  });

  test("ESP and `no next header` are protocols like others", () => {
    assert.equal(send6({}, raw(50, "secret")), "Port");
    assert.equal(send6({}, raw(PROTOCOL.none)), "Port");
  });

  test("wrong versions and lengths are ill-formed, and so are jumbograms", () => {
    for (const version of [0, 4, 7]) assert.equal(send6({ version }), "Malformed");
    assert.equal(send6({ payloadLength: 500 }), "Malformed");
    assert.equal(send6({ payloadLength: 7 }), "Malformed");
    assert.equal(send6({ payloadLength: 0, extensions: [optionsHeader(PROTOCOL.hopByHop)] }), "Malformed");
  });

  test("what lies behind the payload length is padding", () => {
    assert.equal(send6({}, datagram, 40), "Allowed");
  });

  test("a length of 0 is that of a BIG TCP packet, if it is to be cut up", () => {
    scene.allow({ cidr6: [`${PEER6}/128`], l4: { protocols: ["tcp"] } });
    const bytes = frame(ipv6({ from: OWN6, to: PEER6, payloadLength: 0 }, tcp({ from: 4000, to: 80 }, "data")));
    assert.equal(scene.outFrame(bytes), "Malformed");
    assert.equal(scene.outFrame(bytes, { process: { path: "/bin/app" }, gsoSegments: 2, gsoSize: 2 }), "Allowed");
  });

  test("IPv4-mapped addresses have no place on the wire", () => {
    assert.equal(send6({ to: `::ffff:${PEER}` }), "Malformed");
    assert.equal(send6({ from: `::ffff:${OWN}` }), "Malformed");
  });
});
