/**
 * Section 3: without a `default`, what a host says and hears to be on its link passes, if the kernel says it. `stranger` is
 * listed nowhere, and has CAP_NET_RAW.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import type { Network } from "../../src/api/types.ts";
import { arp } from "../packets/ethernet.ts";
import { ip, ipv6 } from "../packets/ip.ts";
import { neighbourSolicitation, type Transport } from "../packets/transport.ts";
import { Fixture } from "./harness/fixture.ts";
import { egress, profile } from "./harness/profiles.ts";
import { framed, leaves } from "./harness/sniffing.ts";
import { macOf, runIn, type WorkloadPlace } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const SERVER6 = "2001:db8:1::1";
/** The `default` for neighbour discovery that docs/profiles.md shows. */
function documentedDefault(): Network {
  const page = readFileSync(join(import.meta.dirname, "../../docs/profiles.md"), "utf8");
  const [, example] = /```yaml\n(spec:\n {2}default:\n[^`]*)```/.exec(page) ?? [];
  const { spec } = parse(example ?? "", { merge: true }) as { spec: { default: Network } };
  return spec.default;
}

const OTHER_MAC = "02:aa:bb:cc:dd:ee";

const fixture = await Fixture.start("neighbours", {
  apps: ["shop", "groups", "documented", "free"],
  profiles: (fixture) => [
    profile("shop", [
      egress(fixture.program("asker"), {
        cidr4: [`${SERVER}/32`],
        cidr6: [`${SERVER6}/128`],
        l4: { protocols: ["udp"] },
      }),
    ]),
    profile(
      "documented",
      [egress(fixture.path("bin", "asker"), { cidr6: [`${SERVER6}/128`], l4: { protocols: ["udp"] } })],
      {
        default: documentedDefault(),
      },
    ),
    profile("groups", [
      egress(fixture.path("bin", "asker"), { cidr4: ["224.0.0.0/4"], l4: { protocols: ["igmp", "udp"] } }),
    ]),
  ],
});
const shop = fixture.workload("shop");
/** No profile selects it: what is sent from there shows that the attack itself works. */
const free = fixture.workload("free");
const asker = fixture.path("bin", "asker");
const stranger = fixture.program("stranger");
const { node } = fixture.topology;

const neighbours = (place: { name: string }, address: string) => runIn(place.name, "ip", "neigh", "show", address);
const forget = (place: { name: string }) => runIn(place.name, "ip", "neigh", "flush", "all");
const solicitation = (text: string): Transport => {
  const { protocol, bytes, checksum } = neighbourSolicitation("fd00::1");
  return { protocol, bytes: [...bytes, ...Buffer.from(text.padEnd(1200, "x"))], ...(checksum && { checksum }) };
};

test("§3 what looks like neighbour discovery and carries bytes to anybody is its sender's", async () => {
  const message = (from: WorkloadPlace, text: string) => ip({ from: from.ipv6, to: SERVER6 }, solicitation(text));
  const byRaw = (from: WorkloadPlace) => (text: string) =>
    fixture.run(from, stranger, `packet ${Buffer.from(message(from, text)).toString("hex")}`);
  const byFrame = (from: WorkloadPlace) => (text: string) =>
    fixture.run(from, stranger, `frame eth0 ${framed(fixture, from, message(from, text))}`);
  for (const [send, expected] of [
    [byRaw, { reason: "BinaryUnknown", path: stranger }],
    [byFrame, { reason: "Unattributed", path: null }],
  ] as const) {
    assert.ok(await leaves(fixture, stranger, send(free)), "without the product it leaves");
    const mark = fixture.agent.events.mark();
    assert.equal(await leaves(fixture, stranger, send(shop)), false);
    await fixture.violation({ ...expected, proto: "icmpv6" }, mark);
  }
});

test("§3 a sound solicitation is its sender's too: only the kernel's is discovery", async () => {
  const sound = ipv6({ from: shop.ipv6, to: shop.gateway6, hopLimit: 255 }, neighbourSolicitation(shop.gateway6));
  const mark = fixture.agent.events.mark();
  await fixture.run(shop, stranger, `frame eth0 ${framed(fixture, shop, sound)}`);
  await fixture.violation({ reason: "Unattributed", path: null, proto: "icmpv6" }, mark);
});

test("§3 ARP of a packet socket does not leave, and none is longer than ARP", async () => {
  const request = (from: WorkloadPlace, padding: number) => {
    const message = { sender: from.ipv4, senderMac: macOf(from, "eth0"), target: from.gateway4 };
    return Buffer.concat([arp(message), Buffer.alloc(padding, 7)]).toString("hex");
  };
  const isHeard = async (from: WorkloadPlace, padding: number) => {
    forget(node);
    await fixture.run(from, stranger, `frame eth0 ${request(from, padding)}`);
    return neighbours(node, from.ipv4).includes("lladdr");
  };
  for (const padding of [0, 1200]) {
    assert.ok(await isHeard(free, padding), "without the product the node hears it");
    const mark = fixture.agent.events.mark();
    assert.equal(await isHeard(shop, padding), false);
    await fixture.violation({ reason: padding === 0 ? "Ethertype" : "Malformed", path: null, proto: "arp" }, mark);
  }
});

test("§3 the kernel's own discovery passes, both ways", async () => {
  for (const place of [shop, node]) forget(place);
  await fixture.passes(shop, asker, `udp4 sendto ${SERVER} 7000 TAG recv`);
  await fixture.passes(shop, asker, `udp6 sendto ${SERVER6} 7000 TAG recv`);
});

test("§3 with the `default` for discovery that the documentation shows, neighbours find each other, both ways", async () => {
  const documented = fixture.workload("documented");
  for (const place of [documented, node]) forget(place);
  await fixture.passes(documented, asker, `udp6 sendto ${SERVER6} 7000 TAG recv`);
  forget(node);
  await fixture.run(node, stranger, `udp6 sendto ${documented.ipv6} 9 x sleep 50`);
  assert.match(neighbours(node, documented.ipv6), /lladdr/);
});

test("§3 neighbours announce themselves: a gateway that moves is followed at once", async () => {
  await fixture.passes(shop, asker, `udp4 sendto ${SERVER} 7000 TAG recv`);
  const announcement = arp({
    operation: 2,
    sender: shop.gateway4,
    senderMac: OTHER_MAC,
    target: shop.gateway4,
    targetMac: OTHER_MAC,
  });
  await fixture.run(node, stranger, `frame ${shop.hostInterface} ${announcement.toString("hex")}`);
  assert.match(neighbours(shop, shop.gateway4), new RegExp(OTHER_MAC));
  runIn(shop.name, "ip", "neigh", "flush", "all");
  await fixture.passes(shop, asker, `udp4 sendto ${SERVER} 7000 TAG recv`);
});

test("§3 the kernel's reports of its groups pass: MLD, and IGMP where a process may speak it", async () => {
  const dropped = (place: WorkloadPlace, proto: string, mark: number) =>
    fixture.agent.events.since(
      mark,
      (event) =>
        event.type === "verdict" &&
        event.verdict === "dropped" &&
        event.proto === proto &&
        event.workload.name === place.name,
    );
  const mark = fixture.agent.events.mark();
  for (const place of [shop, fixture.workload("groups")]) {
    runIn(place.name, "ip", "address", "add", "239.1.2.3/32", "dev", "eth0", "autojoin");
    runIn(place.name, "ip", "address", "add", "ff15::77/128", "dev", "eth0", "autojoin");
  }
  await fixture.violation({ reason: "Unattributed", path: null, proto: "igmp" }, mark, shop);
  for (const place of [shop, fixture.workload("groups")]) assert.deepEqual(dropped(place, "icmpv6", mark), []);
  assert.deepEqual(dropped(fixture.workload("groups"), "igmp", mark), []);
});

test("§9 an own new address works at once while the agent is dead", async () => {
  await fixture.agent.crash();
  runIn(shop.name, "ip", "address", "add", "10.88.0.77/24", "dev", "eth0");
  runIn(shop.name, "ip", "address", "add", `${shop.ipv6}:77/64`, "dev", "eth0", "nodad");
  for (const address of ["10.88.0.77", `${shop.ipv6}:77`]) {
    await fixture.run(node, stranger, `${address.includes(":") ? "udp6" : "udp4"} sendto ${address} 9 x sleep 50`);
    assert.match(neighbours(node, address), /lladdr/, address);
  }
  await fixture.agent.start();
});
