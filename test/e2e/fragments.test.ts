/** Fragments are their sender's, and share the verdict of their datagram's first one (section 5). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { fragments } from "../packets/ip.ts";
import { udp } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { patiently } from "./harness/patience.ts";
import { entry, profile } from "./harness/profiles.ts";
import { framed, leaves } from "./harness/sniffing.ts";
import type { WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
const SERVED = 9000;

const fixture = await Fixture.start("fragments", {
  apps: ["shop", "free"],
  profiles: (fixture) => [
    profile("shop", [
      entry(fixture.program("asker"), {
        egress: { cidr4: [`${SERVER}/32`], cidr6: [`${SERVER6}/128`], l4: { protocols: ["udp"] } },
        ingress: { cidr4: ["0.0.0.0/0"], cidr6: ["::/0"], l4: { protocolPorts: [{ protocol: "udp", port: SERVED }] } },
      }),
    ]),
  ],
});
const shop = fixture.workload("shop");
/** No profile selects it: what is sent from there shows that the attack itself works. */
const free = fixture.workload("free");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");
const { outside } = fixture.topology;

const hex = (packet: number[] | undefined) => Buffer.from(packet ?? []).toString("hex");

for (const [family, server, verb, any] of [
  ["IPv4", SERVER, "udp4", "0.0.0.0"],
  ["IPv6", SERVER6, "udp6", "::"],
] as const) {
  const own = (place: WorkloadPlace) => (family === "IPv6" ? place.ipv6 : place.ipv4);
  const pieces = (from: WorkloadPlace, text: string) =>
    fragments({ from: own(from), to: server }, udp({ from: 4000, to: 7000 }, "x".repeat(56) + text), [64], 4711);

  test(`§3 ${family}: a later fragment with the number of another's datagram is its own sender's`, async () => {
    const attack = (from: WorkloadPlace) => async (text: string) => {
      const [first, later] = pieces(from, text);
      assert.equal((await fixture.run(from, asker, `packet ${hex(first)}`)).code, 0);
      return await fixture.run(from, stranger, `frame eth0 ${framed(fixture, from, later ?? [])}`);
    };
    assert.ok(await leaves(fixture, stranger, attack(free)), "without the product it leaves");
    const mark = fixture.agent.events.mark();
    assert.equal(await leaves(fixture, stranger, attack(shop)), false);
    await fixture.violation({ reason: "Fragment", path: null }, mark);
  });

  test(`§5 ${family}: a process's own fragments leave, and are answered`, async () => {
    await fixture.passes(shop, asker, `${verb} connect ${server} 7000 sendsize 5000 TAG recv`);
  });

  test(`§5 ${family}: what comes in out of order arrives`, async () => {
    const receiver = fixture.start(
      shop,
      asker,
      `timeout ${patiently(5000)} ${verb} bind ${any} ${SERVED} print ready recv`,
    );
    await receiver.line("ready");
    const ends = { from: server, to: own(shop) };
    const [first, second, third] = fragments(ends, udp({ from: 7000, to: SERVED }, "x".repeat(200)), [64, 128], 815);
    for (const piece of [second, first, third]) await fixture.run(outside, stranger, `packet ${hex(piece)}`);
    assert.equal((await receiver.finish()).code, 0);
  });
}
