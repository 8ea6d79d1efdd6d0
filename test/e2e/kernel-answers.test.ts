/**
 * Section 3: what the kernel answers leaves if somebody outside has asked. `asker` and `stranger` have CAP_NET_RAW, and put
 * questions in the name of others on their own loopback interface, for the kernel to answer them with bytes of theirs.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, IngressRules } from "../../src/api/types.ts";
import { text as bytesOf } from "../packets/bytes.ts";
import { frame } from "../packets/ethernet.ts";
import { fragments, ip, ipv4 } from "../packets/ip.ts";
import { icmp, icmpv6, type Transport, tcp, udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { ANYTHING, egress, profile } from "./harness/profiles.ts";
import { leaves } from "./harness/sniffing.ts";
import { runIn, type WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** Where nobody has anything to do with the pod. */
const ELSEWHERE = "198.51.100.2";
const ELSEWHERE6 = "2001:db8:1::2";
const IDENTIFIER = 77;
const SERVERS = { cidr4: [`${SERVER}/32`], cidr6: [`${SERVER6}/128`] };
/** For a pod that has a `default`: to find its neighbours. */
const LINK: EgressRules & IngressRules = {
  cidr6: ["fd00:88::/32", "fe80::/10", "ff02::/16"],
  l3: { protocols: ["arp", "ipv4", "ipv6"] },
  l4: { protocols: ["icmpv6"] },
};

const fixture = await Fixture.start("answers", {
  apps: ["pinged", "open", "free"],
  profiles: (fixture) => {
    const asker = egress(fixture.program("asker"), { ...SERVERS, l4: { protocols: ["udp"] } });
    const pings: IngressRules = {
      ...LINK,
      cidr4: SERVERS.cidr4,
      cidr6: ["::/0"],
      l4: { protocols: ["icmp", "icmpv6"] },
    };
    return [
      profile("pinged", [asker], { default: { egress: LINK, ingress: pings } }),
      profile("open", [asker], { default: { egress: { ...LINK, ...ANYTHING }, ingress: LINK } }),
    ];
  },
});
const pinged = fixture.workload("pinged");
/** Its `default` may send whatever there is, and `asker` may not. */
const open = fixture.workload("open");
/** No profile selects it: what leaves from there shows that the attack itself works. */
const free = fixture.workload("free");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");
const { outside } = fixture.topology;

for (const place of [pinged, open, free]) {
  for (const name of ["all", "lo"]) runIn(place.name, "sysctl", "-qw", `net.ipv4.conf.${name}.rp_filter=0`);
}

const hex = (packet: number[]) => Buffer.from(packet).toString("hex");
const NO_MAC = "00:00:00:00:00:00";
const WAYS: Record<string, (packet: number[]) => string> = {
  "a raw socket": (packet) => `packet ${hex(packet)}`,
  "a packet socket on the loopback interface": (packet) =>
    `frame lo ${frame(packet, { source: NO_MAC, destination: NO_MAC }).toString("hex")}`,
};

for (const [family, server, elsewhere] of [
  ["IPv4", SERVER, ELSEWHERE],
  ["IPv6", SERVER6, ELSEWHERE6],
] as const) {
  const isIpv6 = family === "IPv6";
  const own = (place: WorkloadPlace) => (isIpv6 ? place.ipv6 : place.ipv4);
  const request = (text: string, sequence = 1): Transport => {
    const fields = { identifier: IDENTIFIER, sequence };
    return isIpv6 ? icmpv6({ type: 128, ...fields }, bytesOf(text)) : icmp({ type: 8, ...fields }, bytesOf(text));
  };
  /** Of a text that is as long as it has to be. */
  const questions: Record<string, (text: string) => Transport> = {
    "an echo request": (text) => request(text),
    "a segment": (text) => tcp({ from: 7000, to: 9, flags: "A", acknowledgement: Buffer.from(text).readUInt32BE() }),
    "a datagram for a port on which nobody listens": (text) => udp({ from: 7000, to: 9 }, text),
    ...(!isIpv6 && {
      "a timestamp request": (text) =>
        icmp({ type: 13, identifier: IDENTIFIER }, [...bytesOf(text.slice(0, 4)), ...Array(8).fill(0)]),
    }),
  };
  /** Whether a question that claims to come from `peer` has the kernel send its text there. */
  const isAnswered = (place: WorkloadPlace, program: string, peer: string, way: string, question: string) => {
    const make = questions[question] as (text: string) => Transport;
    const isShort = question === "a segment" || question === "a timestamp request";
    const send = (text: string) =>
      fixture.run(
        place,
        program,
        (WAYS[way] as (packet: number[]) => string)(ip({ from: peer, to: own(place) }, make(text))),
      );
    return leaves(fixture, stranger, send, isShort ? { length: 4 } : {});
  };

  for (const way of Object.keys(WAYS)) {
    test(`§3 ${family}: a peer who pings the pod gets no answer to what ${way} asks in its name`, async () => {
      await fixture.passes(outside, stranger, `${isIpv6 ? "icmp6" : "icmp4"} bind ${server} 0 ping ${own(pinged)}`);
      await fixture.run(outside, stranger, `packet ${hex(ip({ from: server, to: own(pinged) }, request("before")))}`);
      assert.ok(await isAnswered(free, stranger, server, way, "an echo request"), "without the product it leaves");
      const mark = fixture.agent.events.mark();
      assert.equal(await isAnswered(pinged, stranger, server, way, "an echo request"), false);
      await fixture.violation({ reason: "Unattributed", path: null }, mark, pinged);
    });

    for (const question of Object.keys(questions)) {
      test(`§3 ${family}: the kernel answers nobody who has not asked, to ${question} of ${way}`, async () => {
        assert.ok(await isAnswered(free, asker, elsewhere, way, question), "without the product it leaves");
        const mark = fixture.agent.events.mark();
        assert.equal(await isAnswered(open, asker, elsewhere, way, question), false);
        await fixture.violation({ reason: "Unattributed", path: null }, mark, open);
      });
    }
  }

  /** Sent by the peer itself, in its own name, or in pieces. */
  const asks = (packets: number[][]) => packets.map((packet) => `packet ${hex(packet)}`).join(" ");
  const ends = { from: server, to: own(pinged) };
  const real: Record<string, (text: string) => number[][]> = {
    "an echo request": (text) => [ip(ends, request(text))],
    "the same one, again and again": (text) => Array(5).fill(ip(ends, request(text))),
    "a long one": (text) => [ip(ends, request(text.padEnd(1400, "x")))],
    "one in fragments": (text) => fragments(ends, request(text.padEnd(3000, "x")), [1400, 2800], 5),
    "a hundred at once": (text) => Array.from({ length: 100 }, (_, sequence) => ip(ends, request(text, sequence))),
  };
  for (const [what, packets] of Object.entries(real)) {
    test(`§4 ${family}: the kernel's reply to ${what} of a peer who may ping leaves`, async () => {
      const mark = fixture.agent.events.mark();
      assert.ok(await leaves(fixture, stranger, (text) => fixture.run(outside, stranger, asks(packets(text)))));
      const dropped = fixture.agent.events.since(
        mark,
        (event) => event.type === "verdict" && event.proto.startsWith("icmp"),
      );
      assert.deepEqual(
        dropped.filter((event) => event.type === "verdict" && event.verdict === "dropped"),
        [],
      );
    });
  }

  test(`§3 ${family}: what a peer has asked is not repeated to it with anything else`, async () => {
    const known = fixture.tag();
    const isRepeated = (changed: (text: string) => number[]) =>
      leaves(fixture, stranger, async (text) => {
        await fixture.run(outside, stranger, `packet ${hex(ip(ends, request(`${known}${"x".repeat(40)}`)))}`);
        await fixture.run(pinged, stranger, `packet ${hex(changed(text))}`);
      });
    assert.equal(await isRepeated((text) => ip(ends, request(`${known}${text}`))), false, "another payload");
    assert.equal(
      await isRepeated((text) => ip(ends, request(`${known}${"x".repeat(40)}${text}`))),
      false,
      "more of it",
    );
    if (!isIpv6) {
      const recorded = (text: string) => [7, 39, 40, ...bytesOf(text.slice(-36).padEnd(36, "x")), 0];
      assert.ok(recorded(known).length === 40);
      const withOptions = (text: string) =>
        ipv4({ ...ends, options: recorded(text) }, request(`${known}${"x".repeat(40)}`));
      assert.equal(await isRepeated(withOptions), false, "in a record of its route");
    }
  });
}
