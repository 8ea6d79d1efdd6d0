/** Section 8: what pretends to be somebody else. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Attack, Network } from "../../src/api/types.ts";
import { type ArpFields, arp, frame } from "../packets/ethernet.ts";
import { ipv6 } from "../packets/ip.ts";
import { neighbourAdvertisement } from "../packets/transport.ts";
import { type Expected, Fixture } from "./harness/fixture.ts";
import { ANYTHING, entry, profile } from "./harness/profiles.ts";
import { macOf, runIn } from "./harness/topology.ts";

const SERVER = "198.51.100.1";
const DNS = "198.51.100.53";
/** A default under which everything of nobody's passes, so that only the detectors can stop it. */
const OPEN: Network = {
  egress: { ...ANYTHING, l3: { protocols: ["ipv4", "ipv6", "arp"] } },
  ingress: {
    cidr4: ["0.0.0.0/0"],
    cidr6: ["::/0"],
    l3: { protocols: ["ipv4", "ipv6", "arp"] },
    l4: { protocols: ["any"] },
  },
};

const fixture = await Fixture.start("attacks", {
  apps: ["victim", "double"],
  zone: { "www.example.com": { a: [SERVER] }, "wrongid.example.com": { a: [SERVER], wrongId: true } },
  profiles: (fixture) => [rules(fixture, [])],
});
const victim = fixture.workload("victim");
const double = fixture.workload("double");
const { node } = fixture.topology;
const tool = fixture.path("bin", "tool");
const mac = macOf(victim, "eth0");
const gatewayMac = macOf(node, victim.hostInterface);
const OTHER_MAC = "02:aa:bb:cc:dd:ee";

function rules(fixture: Fixture, attacks: Attack[], app = "victim") {
  return profile(app, [entry(fixture.program("tool"), OPEN)], { attacks, default: OPEN });
}

const sendArp = (fields: ArpFields, source = mac) =>
  fixture.run(victim, tool, `frame eth0 ${arp(fields, { source }).toString("hex")}`);

/** What happens has to be stopped as this attack, and to pass while its detector is off. */
async function isAttack(attack: Attack, expected: Expected, happen: () => Promise<unknown>): Promise<void> {
  await fixture.agent.apply(rules(fixture, []));
  let mark = fixture.agent.events.mark();
  await happen();
  await new Promise((resolve) => setTimeout(resolve, 60));
  assert.deepEqual(
    fixture.agent.events.since(mark, (event) => "reason" in event && event.reason === expected.reason),
    [],
    "off unless listed",
  );
  await fixture.agent.apply(rules(fixture, [attack]));
  mark = fixture.agent.events.mark();
  await happen();
  await fixture.violation(expected, mark, victim);
}

const ARP_SPOOFING = { reason: "ArpSpoofing", proto: "arp" } as const;

test("§8 arp-spoofing: another's address", async () => {
  await isAttack("arp-spoofing", { ...ARP_SPOOFING, direction: "egress" }, () =>
    sendArp({ operation: 2, sender: victim.gateway4, senderMac: mac, target: victim.ipv4 }),
  );
});

test("§8 arp-spoofing: the own address with another MAC", async () => {
  await isAttack("arp-spoofing", { ...ARP_SPOOFING, direction: "egress" }, () =>
    sendArp({ operation: 2, sender: victim.ipv4, senderMac: OTHER_MAC, target: victim.gateway4 }),
  );
});

test("§8 arp-spoofing: a gratuitous takeover of the workload's address by somebody else", async () => {
  const message: ArpFields = { operation: 2, sender: victim.ipv4, senderMac: OTHER_MAC, target: victim.ipv4 };
  const bytes = arp(message, { source: gatewayMac }).toString("hex");
  await isAttack("arp-spoofing", { ...ARP_SPOOFING, direction: "ingress" }, () =>
    fixture.run(node, tool, `frame ${victim.hostInterface} ${bytes}`),
  );
});

test("§8 arp-spoofing: the workload's own requests and answers pass", async () => {
  await fixture.agent.apply(rules(fixture, ["arp-spoofing"]));
  runIn(victim.name, "ip", "neigh", "flush", "all");
  runIn(node.name, "ip", "neigh", "flush", "all");
  await fixture.passes(victim, tool, `udp4 sendto ${SERVER} 7000 TAG recv`);
});

test("§8 arp-spoofing: a pod's second interface on the same link is no stranger to its first one", async () => {
  const second = ["second0", "type", "veth", "peer", "name", "eth1", "netns", double.name];
  const batch = [
    `link add ${second.join(" ")}`,
    "link add br0 type bridge",
    ...["second0", double.hostInterface].flatMap((name) => [`link set ${name} master br0`, `link set ${name} up`]),
    `address flush dev ${double.hostInterface} scope global`,
    `address add ${double.gateway4}/24 dev br0`,
    "link set br0 up",
  ];
  for (const command of batch) runIn(node.name, "ip", ...command.split(" "));
  runIn(double.name, "ip", "link", "set", "eth1", "up");
  runIn(double.name, "ip", "address", "add", double.ipv4.replace(/2$/, "3/24"), "dev", "eth1");
  await fixture.agent.apply(rules(fixture, ["arp-spoofing"]), rules(fixture, ["arp-spoofing"], "double"));
  await sleep(1500);
  const mark = fixture.agent.events.mark();
  const spoofing = () =>
    fixture.agent.events.since(mark, (event) => "reason" in event && event.reason === "ArpSpoofing");
  // Everybody on the link hears the question, the pod's other interface too.
  runIn(double.name, "ping", "-c", "1", "-W", "1", "-I", "eth1", double.gateway4);
  runIn(double.name, "sh", "-c", `ping -c 1 -W 1 -I eth1 ${double.ipv4.replace(/2$/, "9")} || true`);
  await sleep(100);
  assert.deepEqual(spoofing(), []);
  const forged = { operation: 2, sender: double.ipv4, senderMac: OTHER_MAC, target: double.gateway4 };
  await fixture.run(double, tool, `frame eth1 ${arp(forged, { source: OTHER_MAC }).toString("hex")}`);
  await fixture.violation(ARP_SPOOFING, mark, double);
});

test("§8 ip-spoofing: a source address that is not the workload's", async () => {
  await isAttack("ip-spoofing", { reason: "IpSpoofing", direction: "egress", path: tool }, () =>
    fixture.run(victim, tool, `forge 10.99.99.99 4000 ${SERVER} 7000 x`),
  );
  await fixture.passes(victim, tool, `udp4 sendto ${SERVER} 7000 TAG recv`);
});

test("§8 ndp-spoofing: an advertisement of another's address", async () => {
  const packet = ipv6(
    { from: victim.ipv6, to: victim.gateway6, hopLimit: 255 },
    neighbourAdvertisement(victim.gateway6),
  );
  const bytes = frame(packet, { source: mac, destination: gatewayMac }).toString("hex");
  await isAttack("ndp-spoofing", { reason: "NdpSpoofing", direction: "egress", proto: "icmpv6" }, () =>
    fixture.run(victim, tool, `frame eth0 ${bytes}`),
  );
  runIn(victim.name, "ip", "-6", "neigh", "flush", "all");
  await fixture.passes(victim, tool, "udp6 sendto 2001:db8:1::1 7000 TAG recv");
});

test("§8 dns-spoofing: an answer with a wrong id", async () => {
  await isAttack("dns-spoofing", { reason: "DnsSpoofing", direction: "ingress", path: tool }, () =>
    fixture.run(victim, tool, `timeout 150 udp4 connect ${DNS} 53 ask wrongid.example.com A`),
  );
  await fixture.passes(victim, tool, `udp4 connect ${DNS} 53 ask www.example.com A`);
});

test("§8 dns-spoofing: an answer that nobody asked for", async () => {
  await fixture.agent.apply(rules(fixture, ["dns-spoofing"]));
  const open = fixture.start(
    victim,
    tool,
    `udp4 bind ${victim.ipv4} 4444 connect ${DNS} 53 ask www.example.com A wait`,
  );
  await open.line("waiting");
  const name = "03777777076578616d706c6503636f6d00";
  const answer = `777781800001000100000000${name}00010001c00c000100010000012c0004c6336402`;
  const mark = fixture.agent.events.mark();
  await fixture.servers.send({ address: DNS, port: 53 }, { address: victim.ipv4, port: 4444 }, answer);
  await fixture.violation({ reason: "DnsSpoofing", direction: "ingress" }, mark);
  await open.kill();
});

test("§8 same modes as violations: alert alone reports an attack and lets it pass", async () => {
  await fixture.agent.apply({
    ...rules(fixture, ["ip-spoofing"]),
    spec: { ...rules(fixture, ["ip-spoofing"]).spec, actions: ["alert"] },
  });
  const mark = fixture.agent.events.mark();
  const tag = fixture.tag();
  await fixture.run(victim, tool, `forge 10.99.99.99 4000 ${SERVER} 7000 ${tag}`);
  await fixture.violation({ verdict: "alerted", reason: "IpSpoofing" }, mark);
  assert.equal((await fixture.servers.received(tag)).length, 1);
});

test("§8 detectors that are not there yet are refused by name, never silently ignored", async () => {
  for (const attack of ["port-scan", "syn-flood", "dns-tunnel"] as const) {
    const event = await fixture.agent.offer(rules(fixture, [attack]));
    assert.equal(event.refused, true);
    assert.match(event.errors[0]?.field ?? "", /attacks/);
    assert.match(event.errors[0]?.message ?? "", new RegExp(attack));
  }
});
