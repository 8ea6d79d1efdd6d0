/**
 * Sections 3 and 4: an ICMP error is part of the flow that it is about if the kernel or a router made it. `stranger`, listed
 * nowhere, has CAP_NET_RAW, and sends errors about asker's flow that carry bytes of its own.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { text as bytesOf } from "../packets/bytes.ts";
import { frame } from "../packets/ethernet.ts";
import { ip, ipv6 } from "../packets/ip.ts";
import { icmp, icmpv6, PROTOCOL, udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { egress, profile, toServer } from "./harness/profiles.ts";
import { framed, leaves } from "./harness/sniffing.ts";
import { runIn, type WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** Nobody may talk to these. */
const ELSEWHERE = "198.51.100.2";
const ELSEWHERE6 = "2001:db8:1::2";
const PORT = 7000;
const ASKING = 42_000;
const NARROW_MTU = 1400;

const fixture = await Fixture.start("errors", {
  apps: ["shop", "free"],
  profiles: (fixture) => [profile("shop", [egress(fixture.program("asker"), toServer({ protocols: ["udp"] }))])],
});
const shop = fixture.workload("shop");
/** No profile selects it: what is sent from there shows that the attack itself works. */
const free = fixture.workload("free");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");

for (const [family, server, elsewhere] of [
  ["IPv4", SERVER, ELSEWHERE],
  ["IPv6", SERVER6, ELSEWHERE6],
] as const) {
  const isIpv6 = family === "IPv6";
  const verb = isIpv6 ? "udp6" : "udp4";
  const own = (from: WorkloadPlace) => (isIpv6 ? from.ipv6 : from.ipv4);
  /** Port unreachable, about a datagram that asker's peer might have sent, with a text behind it. */
  const errorAbout = (from: WorkloadPlace, to: string, text: string) => {
    const quoted = ip({ from: server, to: own(from) }, udp({ from: PORT, to: ASKING }, "x"));
    const payload = [...quoted, ...bytesOf(text)];
    return ip(
      { from: own(from), to },
      isIpv6 ? icmpv6({ type: 1, code: 4 }, payload) : icmp({ type: 3, code: 3 }, payload),
    );
  };
  const ask = `${verb} bind ${isIpv6 ? "::" : "0.0.0.0"} ${ASKING} sendto ${server} ${PORT} x recv`;

  for (const to of [server, elsewhere]) {
    const whom = to === server ? "the flow's own peer" : "anybody";
    test(`§3 ${family}: an error about another's flow by a raw socket is that process's, sent to ${whom}`, async () => {
      await fixture.passes(shop, asker, ask);
      const send = (from: WorkloadPlace) => (text: string) =>
        fixture.run(from, stranger, `packet ${Buffer.from(errorAbout(from, to, text)).toString("hex")}`);
      assert.ok(await leaves(fixture, stranger, send(free)), "without the product it leaves");
      const mark = fixture.agent.events.mark();
      assert.equal(await leaves(fixture, stranger, send(shop)), false);
      await fixture.violation({ reason: "BinaryUnknown", path: stranger }, mark);
    });

    test(`§3 ${family}: an error about another's flow by a packet socket is nobody's, sent to ${whom}`, async () => {
      await fixture.passes(shop, asker, ask);
      const send = (from: WorkloadPlace) => (text: string) =>
        fixture.run(from, stranger, `frame eth0 ${framed(fixture, from, errorAbout(from, to, text))}`);
      assert.ok(await leaves(fixture, stranger, send(free)), "without the product it leaves");
      const mark = fixture.agent.events.mark();
      assert.equal(await leaves(fixture, stranger, send(shop)), false);
      await fixture.violation({ reason: "Unattributed", path: null }, mark);
    });
  }

  test(`§3 ${family}: a raw socket that found no memory for its owner does not pass for the kernel's`, async (context) => {
    const limit = "/proc/sys/net/core/optmem_max";
    await fixture.passes(shop, asker, ask);
    try {
      runIn(shop.name, "sh", "-c", `echo 1 > ${limit}`);
    } catch {
      return context.skip("this kernel has one limit for all namespaces");
    }
    assert.equal(
      await leaves(fixture, stranger, (text) =>
        fixture.run(shop, stranger, `packet ${Buffer.from(errorAbout(shop, server, text)).toString("hex")}`),
      ),
      false,
    );
    runIn(shop.name, "sh", "-c", `echo 131072 > ${limit}`);
  });

  test(`§4 ${family}: the kernel's own error about a flow leaves with it, and its sender believes it`, async () => {
    // asker has ended, and its kernel says so to whom goes on sending. Where that one checks every sum itself:
    const { node, outside } = fixture.topology;
    runIn(node.name, "ethtool", "-K", "up0", "tx", "off", "rx", "off");
    runIn(outside.name, "ethtool", "-K", "eth0", "rx", "off");
    const at = 7150;
    await fixture.passes(shop, asker, `${verb} bind ${isIpv6 ? "::" : "0.0.0.0"} ${ASKING} sendto ${server} ${at} x`);
    const went = `timeout ${patiently(500)} ${verb} bind ${server} ${at} connect ${own(shop)} ${ASKING} sendsize 400 x error`;
    const { code, stderr } = await fixture.run(outside, stranger, went);
    assert.equal(code, 4, stderr);
  });

  const onLoopback = (packet: number[]) =>
    `frame lo ${frame(packet, { source: "00:00:00:00:00:00", destination: "00:00:00:00:00:00" }).toString("hex")}`;
  const raw = (packet: number[]) => `packet ${Buffer.from(packet).toString("hex")}`;
  const fromPeer = (to: string, port: number, text: string) =>
    ip({ from: server, to }, udp({ from: PORT, to: port }, `${"x".repeat(8)}${text}`));
  /** The second byte says that a host which does not know the option has to say so: RFC 8200, 4.2. */
  const unknownOption = (text: string) => {
    const units = Math.ceil((4 + text.length) / 8);
    const data = [...bytesOf(text), ...Array(units * 8 - 4 - text.length).fill(0)];
    return { header: PROTOCOL.destinationOptions, bytes: [units - 1, 0x80, data.length, ...data] };
  };
  const withOption = (to: string, option: string, text: string) =>
    ipv6({ from: server, to, extensions: [unknownOption(option)] }, udp({ from: PORT, to: ASKING }, text));
  const reflections: Record<string, (to: string, text: string) => string> = {
    "by a raw socket": (to, text) => raw(fromPeer(to, ASKING, text)),
    "by a packet socket on the loopback interface": (to, text) => onLoopback(fromPeer(to, ASKING, text)),
    ...(isIpv6 && {
      "about an option": (to, text) => onLoopback(withOption(to, "", `${"x".repeat(8)}${text}`)),
      "about an option that holds it": (to, text) => onLoopback(withOption(to, text, "")),
    }),
  };
  for (const [how, reflect] of Object.entries(reflections)) {
    test(`§3 ${family}: the kernel is made to answer a packet of the pod's own, ${how}: the answer carries nothing away`, async () => {
      for (const name of ["all", "lo"]) {
        for (const place of [free, shop]) runIn(place.name, "sysctl", "-qw", `net.ipv4.conf.${name}.rp_filter=0`);
      }
      await fixture.passes(shop, asker, ask);
      const send = (from: WorkloadPlace) => (text: string) => fixture.run(from, stranger, reflect(own(from), text));
      assert.ok(await leaves(fixture, stranger, send(free)), "without the product it leaves");
      assert.equal(await leaves(fixture, stranger, send(shop)), false);
    });
  }
}

test("§4 Packet Too Big about a fragmented IPv6 datagram: the second one arrives", async () => {
  const { node, outside } = fixture.topology;
  const narrow = ["2001:db8:1::/64", "via", outside.ipv6, "mtu", `${NARROW_MTU}`];
  runIn(node.name, "ip", "-6", "route", "replace", ...narrow);
  const send = `sendto ${SERVER6} ${PORT} TAG${"x".repeat(3000)}`;
  await fixture.passes(shop, asker, `udp6 ${send} sleep 50 ${send} recv`);
});
