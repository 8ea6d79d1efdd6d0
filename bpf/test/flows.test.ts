/** Policy is stateful (section 4): replies, ICMP errors, and what ends or renews a flow. */
import assert from "node:assert/strict";
import { after, beforeEach, describe, test } from "node:test";
import { APP, appSpec, incoming, OWN, OWN6, PEER, PEER6, Scene, STRANGER } from "../../test/harness/scene.ts";
import { frame } from "../../test/packets/ethernet.ts";
import { fragments, ip, ipv4, ipv6, optionsHeader, quoted, routingHeader } from "../../test/packets/ip.ts";
import { icmp, icmpv6, PROTOCOL, ping, ping6, pong, pong6, tcp, udp } from "../../test/packets/transport.ts";

const scene = new Scene("flows");
after(() => scene[Symbol.dispose]());

const rules = { cidr4: [`${PEER}/32`], cidr6: [`${PEER6}/128`], l4: { protocols: ["any" as const] } };
beforeEach(() => scene.allow(rules));

const OTHER = "192.0.2.99";

describe("replies", () => {
  test("to an allowed flow pass; what nobody asked for does not", () => {
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4000, flags: "SA" })), "Unattributed");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "S" })), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4000, flags: "SA" })), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4001, flags: "SA" })), "Unattributed");
    assert.equal(scene.in(OTHER, tcp({ from: 80, to: 4000, flags: "SA" })), "Unattributed");
    assert.equal(scene.in(PEER, udp({ from: 80, to: 4000 })), "Unattributed");
  });

  test("a SYN from the other side is no reply", () => {
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "S" })), "Allowed");
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4000, flags: "S" }), { process: APP }), "Peer");
  });

  test("to a flow that came in go out, whatever egress says", () => {
    scene.allow(null, { cidr4: [`${PEER}/32`], l4: { protocolPorts: [{ protocol: "tcp", port: 80 }] } });
    assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80, flags: "S" }), { process: APP }), "Allowed");
    assert.equal(
      scene.out(PEER, tcp({ from: 80, to: 4000, flags: "SA" }), { process: APP, accepted: true }),
      "Allowed",
    );
    assert.equal(scene.out(PEER, tcp({ from: 80, to: 4001, flags: "S" })), "Peer");
  });

  test("what is refused has none", () => {
    assert.equal(scene.out(OTHER, tcp({ from: 4000, to: 80, flags: "S" })), "Peer");
    assert.equal(scene.in(OTHER, tcp({ from: 80, to: 4000, flags: "SA" })), "Unattributed");
  });
});

describe("echo", () => {
  for (const [name, peer, request, reply] of [
    ["ICMP", PEER, ping, pong],
    ["ICMPv6", PEER6, ping6, pong6],
  ] as const) {
    test(`${name}: a reply to a request of this identifier passes, a request does not`, () => {
      assert.equal(scene.out(peer, request(5)), "Allowed");
      assert.equal(scene.in(peer, reply(5)), "Allowed");
      assert.equal(scene.in(peer, reply(6)), "Unattributed");
      assert.equal(scene.in(peer, request(5)), "Unattributed");
    });
  }

  test("other messages of ICMP are judged one by one", () => {
    assert.equal(scene.out(PEER, icmp({ type: 13, identifier: 5 })), "Allowed");
    assert.equal(scene.in(PEER, icmp({ type: 14, identifier: 5 })), "Unattributed");
    assert.equal(scene.out(PEER, ping(0)), "Allowed");
    assert.equal(scene.in(PEER, icmp({ type: 5 }, Array(28).fill(0))), "Unattributed");
  });
});

describe("ICMP errors", () => {
  const sent = (to: string, transport = udp({ from: 4000, to: 80 }, "hello")) =>
    ip({ from: to.includes(":") ? OWN6 : OWN, to }, transport);
  const error = (about: number[], type = 3) => icmp({ type }, quoted(about));
  const error6 = (about: number[], type = 1) => icmpv6({ type }, quoted(about));

  test("about an allowed flow pass, from whoever on the way they come", () => {
    scene.outFrame(frame(sent(PEER)));
    scene.outFrame(frame(sent(PEER6)));
    for (const type of [3, 11, 12]) assert.equal(scene.in("10.0.0.1", error(sent(PEER), type)), "Allowed");
    for (const type of [1, 2, 3, 4]) assert.equal(scene.in("fd00::1", error6(sent(PEER6), type)), "Allowed");
  });

  test("about others do not", () => {
    scene.outFrame(frame(sent(PEER)));
    assert.equal(scene.in("10.0.0.1", error(sent(OTHER))), "Unattributed");
    assert.equal(scene.in("10.0.0.1", error(sent(PEER, udp({ from: 4001, to: 80 })))), "Unattributed");
    assert.equal(scene.in("10.0.0.1", error(sent(PEER, tcp({ from: 4000, to: 80 })))), "Unattributed");
    assert.equal(scene.in("10.0.0.1", error(sent(PEER), 5)), "Unattributed", "a redirect is no error");
    assert.equal(scene.in("fd00::1", error6(sent(PEER))), "Unattributed", "an ICMPv6 error does not quote IPv4");
    const back = ipv4({ from: PEER, to: OWN }, udp({ from: 80, to: 4000 }));
    assert.equal(scene.in("10.0.0.1", error(back)), "Unattributed", "it quotes what the workload has received");
  });

  test("the echo of a ping counts too", () => {
    scene.out(PEER, ping(9));
    assert.equal(scene.in("10.0.0.1", error(sent(PEER, ping(9)), 11)), "Allowed");
    assert.equal(scene.in("10.0.0.1", error(sent(PEER, ping(8)), 11)), "Unattributed");
  });

  test("that quote too little, or a later fragment, have no flow", () => {
    scene.outFrame(frame(sent(PEER)));
    assert.equal(scene.in("10.0.0.1", error(sent(PEER).slice(0, 28))), "Allowed");
    assert.equal(scene.in("10.0.0.1", error(sent(PEER).slice(0, 27))), "Unattributed");
    const fragment = { identification: 1, offset: 8, more: false };
    const later = ipv4({ from: OWN, to: PEER, fragment }, udp({ from: 4000, to: 80 }, "hello"));
    assert.equal(scene.in("10.0.0.1", error(later)), "Unattributed");
  });

  test("of the workload itself, about what came in, go out", () => {
    scene.allow(null, { cidr4: [`${PEER}/32`], l4: { protocols: ["udp"] } });
    assert.equal(scene.in(PEER, udp({ from: 4000, to: 80 }), { process: APP }), "Allowed");
    const received = ipv4({ from: PEER, to: OWN }, udp({ from: 4000, to: 80 }));
    const kernel = { kernel: true };
    assert.equal(scene.out(PEER, error(received), kernel), "Allowed");
    const ofOther = error(ipv4({ from: OTHER, to: OWN }, udp({ from: 1, to: 2 })));
    assert.equal(scene.out(PEER, ofOther, kernel), "Unattributed");
    assert.equal(scene.out(OTHER, ofOther, kernel), "Unattributed");
  });

  test("of a process, or of nobody, are that sender's", () => {
    scene.allow(null, { cidr4: [`${PEER}/32`], l4: { protocols: ["udp"] } });
    assert.equal(scene.in(PEER, udp({ from: 4000, to: 80 }), { process: APP }), "Allowed");
    const received = ipv4({ from: PEER, to: OWN }, udp({ from: 4000, to: 80 }));
    for (const facts of [{}, { socketless: true }])
      assert.equal(scene.out(PEER, error(received), facts), "Unattributed");
    assert.equal(scene.out(PEER, error(received), { process: STRANGER }), "BinaryUnknown");
    assert.equal(scene.out(PEER, error(received), { process: APP }), "Peer");
  });

  test("go to the sender of the packet that they quote, from the workload's own address", () => {
    scene.allow(null, { cidr4: [`${PEER}/32`], l4: { protocols: ["udp"] } });
    assert.equal(scene.in(PEER, udp({ from: 4000, to: 80 }), { process: APP }), "Allowed");
    const received = ipv4({ from: PEER, to: OWN }, udp({ from: 4000, to: 80 }));
    const from = (source: string, to: string) =>
      scene.outFrame(frame(ip({ from: source, to }, error(received))), { kernel: true });
    assert.equal(from(OWN, PEER), "Allowed");
    assert.equal(from(OWN, OTHER), "Unattributed");
    assert.equal(from("10.0.0.99", PEER), "Unattributed");
    scene.outFrame(frame(sent(PEER)));
    const inward = (to: string) => scene.inFrame(incoming(ip({ from: "10.0.0.1", to }, error(sent(PEER)))));
    scene.allow(rules);
    scene.outFrame(frame(sent(PEER)));
    assert.equal(inward(OWN), "Allowed");
    assert.equal(inward("10.0.0.99"), "Unattributed");
  });

  test("are about a flow that is alive", () => {
    scene.outFrame(frame(sent(PEER)));
    scene.harness.advance(121);
    assert.equal(scene.in("10.0.0.1", error(sent(PEER))), "Unattributed");
    const segment = (flags: string) => tcp({ from: 4000, to: 80, flags });
    const inward = () => scene.in("10.0.0.1", error(sent(PEER, segment("A"))));
    scene.out(PEER, segment("S"));
    assert.equal(inward(), "Allowed");
    scene.out(PEER, segment("FA"));
    assert.equal(inward(), "Allowed", "the other side may go on");
    scene.in(PEER, tcp({ from: 80, to: 4000, flags: "FA" }));
    assert.equal(inward(), "Unattributed");
    scene.out(PEER, segment("S"));
    assert.equal(inward(), "Allowed");
    scene.in(PEER, tcp({ from: 80, to: 4000, flags: "R" }));
    assert.equal(inward(), "Unattributed");
  });

  test("are no longer than hosts and routers make them, and whole", () => {
    const long = udp({ from: 4000, to: 80 }, "x".repeat(2000));
    scene.out(PEER, long);
    scene.out(PEER6, long);
    assert.equal(scene.in("10.0.0.1", icmp({ type: 3 }, quoted(sent(PEER, long), 576 - 28))), "Allowed");
    assert.equal(scene.in("10.0.0.1", icmp({ type: 3 }, quoted(sent(PEER, long), 577 - 28))), "Unattributed");
    assert.equal(scene.in("fd00::1", icmpv6({ type: 1 }, quoted(sent(PEER6, long), 1280 - 48))), "Allowed");
    assert.equal(scene.in("fd00::1", icmpv6({ type: 1 }, quoted(sent(PEER6, long), 1281 - 48))), "Unattributed");
    const [first, later] = fragments({ from: "10.0.0.1", to: OWN }, error(sent(PEER, long)), [64]) as [
      number[],
      number[],
    ];
    assert.equal(scene.inFrame(incoming(first)), "Unattributed");
    assert.equal(scene.inFrame(incoming(later)), "Unattributed");
  });

  test("quote IPv6 extension headers: a fragment that was too big", () => {
    const datagram = udp({ from: 4000, to: 80 }, "x".repeat(64));
    const [first, later] = fragments({ from: OWN6, to: PEER6 }, datagram, [64]) as [number[], number[]];
    scene.outFrame(frame(first));
    assert.equal(scene.in("fd00::1", error6(first, 2)), "Allowed");
    assert.equal(scene.in("fd00::1", error6(later, 2)), "Unattributed", "it names no ports");
    const extensions = [
      optionsHeader(PROTOCOL.hopByHop),
      routingHeader(),
      optionsHeader(PROTOCOL.destinationOptions, 2),
    ];
    assert.equal(scene.in("fd00::1", error6(ipv6({ from: OWN6, to: PEER6, extensions }, datagram))), "Allowed");
    const nine = Array.from({ length: 9 }, () => optionsHeader(PROTOCOL.destinationOptions));
    assert.equal(
      scene.in("fd00::1", error6(ipv6({ from: OWN6, to: PEER6, extensions: nine }, datagram))),
      "Unattributed",
    );
  });
});

describe("what renews a judgement", () => {
  const knock = (to = PEER) => scene.out(to, udp({ from: 4000, to: 80 }, "x"));
  const answered = () => scene.in(PEER, udp({ from: 80, to: 4000 }, "x"));

  test("other rules: an open flow is refused, and allowed again, at once", () => {
    assert.equal(knock(), "Allowed");
    assert.equal(answered(), "Allowed");
    scene.change(appSpec({ cidr4: [`${OTHER}/32`], l4: { protocols: ["udp"] } }));
    assert.equal(answered(), "Peer");
    assert.equal(knock(), "Peer");
    scene.change(appSpec(rules));
    assert.equal(answered(), "Allowed");
    assert.equal(knock(), "Allowed");
  });

  test("an epoch: the owner of the socket is looked at again", () => {
    assert.equal(knock(), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }, "x"), { process: STRANGER }), "BinaryUnknown");
    scene.harness.startEpoch();
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }, "x"), { process: STRANGER }), "BinaryUnknown");
    assert.equal(knock(), "Allowed");
  });

  test("a packet without an owner borrows nobody's rights, though ports and addresses are the flow's", () => {
    assert.equal(knock(), "Allowed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }, "x"), {}), "Unattributed");
    scene.harness.startEpoch();
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }, "x"), {}), "Unattributed");
    assert.equal(answered(), "Allowed", "the flow itself goes on");
  });

  test("what the kernel sends by itself within a flow is the flow's", () => {
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "S" })), "Allowed");
    const kernel = { kernel: true, socketId: 9 };
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "R" }), kernel), "Allowed");
    scene.harness.startEpoch();
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "R" }), kernel), "Allowed");
    assert.equal(scene.out(PEER, tcp({ from: 4001, to: 80, flags: "R" }), kernel), "Unattributed");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80 }, "data"), { socketId: 9 }), "Unattributed");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80 }, "data"), kernel), "Unattributed", "it has no data");
    scene.harness.startEpoch();
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80 }, "data"), kernel), "Unattributed");
  });

  test("without a socket there is nothing but bare segments, which the kernel answers with", () => {
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "S" })), "Allowed");
    const segment = (flags: string, payload = "") =>
      scene.out(PEER, tcp({ from: 4000, to: 80, flags }, payload), { socketless: true, socketId: 9 });
    for (const flags of ["R", "RA", "A", "FA"]) assert.equal(segment(flags), "Allowed");
    for (const flags of ["S", "SA"]) assert.equal(segment(flags), "Unattributed");
    assert.equal(segment("A", "data"), "Unattributed");
    assert.equal(scene.out(PEER, udp({ from: 4000, to: 80 }), { socketless: true }), "Unattributed");
  });

  test("silence: a UDP flow is a new one after a while, a TCP connection is not", () => {
    assert.equal(knock(), "Allowed");
    assert.equal(scene.out(PEER, tcp({ from: 4000, to: 80, flags: "S" })), "Allowed");
    scene.harness.advance(100);
    assert.equal(answered(), "Allowed");
    scene.harness.advance(100);
    assert.equal(answered(), "Allowed", "each packet keeps it alive");
    scene.harness.advance(121);
    assert.equal(answered(), "Unattributed");
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4000, flags: "A" })), "Allowed");
  });

  test("a socket that is there before its first packet is seen keeps its direction", () => {
    const facts = { process: APP, connected: true };
    assert.equal(scene.in(PEER, tcp({ from: 80, to: 4000 }, "data"), facts), "Allowed", "an answer to what it began");
    assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80 }, "data"), { ...facts, accepted: true }), "Peer");
  });

  test("a refused application stays refused until the rules change", () => {
    scene.allow({ ...rules, l7: { protocols: ["tls"] } });
    const say = (payload: string) => scene.out(PEER, udp({ from: 4000, to: 80 }, payload));
    assert.equal(say("GET / HTTP/1.1"), "Application");
    assert.equal(say("more"), "Application");
    assert.equal(scene.in(PEER, udp({ from: 80, to: 4000 }, "what?")), "Application");
    scene.change(appSpec({ ...rules, l7: { protocols: ["http"] } }));
    assert.equal(say("more"), "Allowed");
  });
});

test("packets before the workload is known to anybody are dropped without a verdict", () => {
  scene.harness.withdraw();
  assert.equal(scene.harness.run("egress", frame(ipv4({ from: OWN, to: PEER }, ping()))), null);
  assert.equal(scene.harness.action("egress", incoming(ipv4({ from: PEER, to: OWN }, ping()))), 2);
});
