/**
 * Section 3: what leaves without a socket is nobody's. `asker` may talk to one server; `stranger` is listed nowhere, has
 * CAP_NET_RAW, and writes packets that look like asker's. Whether something is out is seen on the far side of the node.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EgressRules, IngressRules } from "../../src/api/types.ts";
import { frame } from "../packets/ethernet.ts";
import { ip, ipv4, ipv6 } from "../packets/ip.ts";
import { type Transport, tcp, udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { entry, profile } from "./harness/profiles.ts";
import { framed, leaves } from "./harness/sniffing.ts";
import { runIn } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const PORT = 7000;
/** Longer than a device takes in one piece (gso_max_size), so that the kernel has to cut it up in software. */
const TOO_LONG = 65_535 + 14;
const MSS = 1400;

const RIGHTS: EgressRules = {
  cidr4: [`${SERVER}/32`],
  cidr6: [`${SERVER6}/128`],
  l4: { protocols: ["tcp", "udp", "icmp", "icmpv6"] },
};

const SERVES: IngressRules = {
  cidr4: ["0.0.0.0/0"],
  cidr6: ["::/0"],
  l4: { protocolPorts: [{ protocol: "tcp", port: PORT }] },
};

const fixture = await Fixture.start("forged", {
  apps: ["shop", "free"],
  profiles: (fixture) => [profile("shop", [entry(fixture.program("asker"), { egress: RIGHTS, ingress: SERVES })])],
});
const shop = fixture.workload("shop");
/** No profile selects it: what is sent from there shows that the attack itself works. */
const free = fixture.workload("free");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");
const { node, outside } = fixture.topology;

/** What a frame of this workload begins with: all headers, up to the L4 header's end. */
function headers(from: typeof shop, to: string, transport: Transport): string {
  const isIpv6 = to.includes(":");
  const ends = { from: isIpv6 ? from.ipv6 : from.ipv4, to };
  const length = TOO_LONG - 14;
  const packet = isIpv6
    ? ipv6({ ...ends, payloadLength: length - 40 }, transport)
    : ipv4({ ...ends, totalLength: length }, transport);
  return framed(fixture, from, packet);
}

/** A GSO frame with the ports of somebody else's socket. */
const segmented = (from: typeof shop, to: string, transport: Transport) => (text: string) => {
  const protocol = transport.protocol === 17 ? "udp" : "tcp";
  return fixture.run(
    from,
    stranger,
    `segments eth0 ${protocol} ${MSS} ${TOO_LONG} ${headers(from, to, transport)} ${text}`,
  );
};

for (const [family, to, tcpVerb, udpVerb] of [
  ["IPv4", SERVER, "tcp4", "udp4"],
  ["IPv6", SERVER6, "tcp6", "udp6"],
] as const) {
  const any = family === "IPv4" ? "0.0.0.0" : "::";

  test(`§3 ${family}: segments of a forged TCP packet, cut up by the kernel, are nobody's`, async () => {
    const forged = tcp({ from: 41000, to: PORT, flags: "A", sequence: 1 });
    assert.ok(await leaves(fixture, stranger, segmented(free, to, forged)), "without the product they leave");
    const owner = fixture.start(shop, asker, `${tcpVerb} bind ${any} 41000 connect ${to} ${PORT} send x recv wait`);
    await owner.line("waiting");
    const mark = fixture.agent.events.mark();
    assert.equal(await leaves(fixture, stranger, segmented(shop, to, forged)), false);
    await fixture.violation({ reason: "Unattributed", path: null, proto: "tcp" }, mark);
    owner.tell();
    assert.equal((await owner.finish()).code, 0);
  });

  test(`§3 ${family}: pieces of a forged UDP packet, cut up by the kernel, are nobody's`, async () => {
    const forged = udp({ from: 41001, to: PORT, length: TOO_LONG - (family === "IPv4" ? 34 : 54) });
    assert.ok(await leaves(fixture, stranger, segmented(free, to, forged)), "without the product they leave");
    const owner = fixture.start(shop, asker, `${udpVerb} bind ${any} 41001 connect ${to} ${PORT} send x recv wait`);
    await owner.line("waiting");
    const mark = fixture.agent.events.mark();
    assert.equal(await leaves(fixture, stranger, segmented(shop, to, forged)), false);
    await fixture.violation({ reason: "Unattributed", path: null, proto: "udp" }, mark);
    owner.tell();
    assert.equal((await owner.finish()).code, 0);
  });
}

for (const [family, any, verb] of [
  ["IPv4", "0.0.0.0", "tcp4"],
  ["IPv6", "::", "tcp6"],
] as const) {
  test(`§3 ${family}: a connection whose answer had no socket (a cookie's) lends its rights to nothing else without one`, async () => {
    runIn(shop.name, "sysctl", "-qw", "net.ipv4.tcp_syncookies=2");
    const [at, client] = family === "IPv4" ? [shop.ipv4, outside.ipv4] : [shop.ipv6, outside.ipv6];
    const port = family === "IPv4" ? 41010 : 41011;
    const listener = fixture.start(shop, asker, `${verb} bind ${any} ${PORT} listen accept wait`);
    await listener.line("listening");
    const peer = fixture.start(outside, stranger, `${verb} bind ${client} ${port} connect ${at} ${PORT} wait`);
    await peer.line("waiting");
    const forged = tcp({ from: PORT, to: port, flags: "A", sequence: 1 });
    assert.ok(await leaves(fixture, stranger, segmented(free, client, forged)), "without the product they leave");
    assert.equal(await leaves(fixture, stranger, segmented(shop, client, forged)), false);
    await peer.kill();
    await listener.kill();
  });
}

test("§3 a listener lends its rights to nothing that leaves without its socket", async () => {
  const listener = fixture.start(shop, asker, "tcp4 bind 0.0.0.0 8080 listen wait");
  await listener.line("waiting");
  const forged = tcp({ from: 8080, to: PORT, flags: "A", sequence: 1 });
  assert.ok(await leaves(fixture, stranger, segmented(free, SERVER, forged)), "without the product they leave");
  assert.equal(await leaves(fixture, stranger, segmented(shop, SERVER, forged)), false);
  await listener.kill();
});

test("§3 what the loopback interface is made to forward is nobody's", async () => {
  const forged = (from: typeof shop) => (text: string) => {
    // From an address that is not the pod's own: the kernel takes no packet from outside with one that is.
    const packet = ip({ from: "10.99.0.7", to: SERVER }, udp({ from: 41002, to: PORT }, text));
    const bytes = frame(packet, { source: "00:00:00:00:00:00", destination: "00:00:00:00:00:00" }).toString("hex");
    return fixture.run(from, stranger, `frame lo ${bytes}`);
  };
  for (const place of [free, shop])
    runIn(place.name, "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.lo.rp_filter=0");
  assert.ok(await leaves(fixture, stranger, forged(free)), "without the product it leaves");
  // It takes any address of the pod's, and so has what claims to come from its port.
  const owner = fixture.start(shop, asker, "udp4 bind 0.0.0.0 41002 wait");
  await owner.line("waiting");
  assert.equal(await leaves(fixture, stranger, forged(shop)), false);
  await owner.kill();
});

test("§3 with segmentation offload off in the container its processes' segments are still theirs", async () => {
  const send = `tcp4 connect ${SERVER} ${PORT} ${"sendsize 60000 x recv ".repeat(3)}`;
  await fixture.passes(shop, asker, send);
  runIn(shop.name, "ethtool", "-K", "eth0", "tso", "off", "gso", "off");
  await fixture.passes(shop, asker, send);
  runIn(shop.name, "ethtool", "-K", "eth0", "tx", "off");
  await fixture.passes(shop, asker, send);
});

test("§3 where the node's side merges segments (GRO) the kernel may take their sockets away: then they are nobody's", async (context) => {
  runIn(shop.name, "ethtool", "-K", "eth0", "tx", "off");
  runIn(node.name, "ethtool", "-K", shop.hostInterface, "gro", "on");
  const connect = `tcp4 connect ${SERVER} ${PORT} send TAG recv`;
  if ((await fixture.run(shop, asker, `timeout 500 ${connect}`)).code === 0) return context.skip("they keep them here");
  await fixture.stops(shop, asker, connect, { reason: "Unattributed", path: null });
});
