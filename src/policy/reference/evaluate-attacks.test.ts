import assert from "node:assert/strict";
import { test } from "node:test";
import type { Attack, SecurityProfileSpec } from "../../api/types.ts";
import { addressBytes, arp, icmp, ipv4, ipv6, OTHER_MAC, OWN_MAC, tcp, udp } from "../testing/frames.ts";
import { profileOf } from "../testing/profiles.ts";
import { OWN, OWN6, PEER, reason, Scene } from "../testing/scene.ts";

const ANYTHING = {
  cidr4: ["0.0.0.0/0"],
  cidr6: ["::/0"],
  l3: { protocols: ["ipv4", "ipv6", "arp"] as const },
  l4: { protocols: ["any"] as const },
};

/** Everything is allowed, so that only the attack can be the reason. */
function guarded(...attacks: Attack[]): Scene {
  const rules = {
    ...ANYTHING,
    l3: { protocols: [...ANYTHING.l3.protocols] },
    l4: { protocols: [...ANYTHING.l4.protocols] },
  };
  const spec: SecurityProfileSpec = { actions: ["enforce"], attacks, default: { egress: rules, ingress: rules } };
  return new Scene([profileOf("web", spec)]);
}

const REQUEST = 1;
const REPLY = 2;

test("ARP is judged by the EtherType layer of default alone", () => {
  const only = (protocols: ("arp" | "ipv4")[]) =>
    new Scene([profileOf("web", { actions: ["enforce"], default: { egress: { l3: { protocols } } } })]);
  assert.equal(reason(only(["arp"]).sends(arp(REQUEST, OWN_MAC, OWN, PEER), null)), "Allowed");
  assert.equal(reason(only(["ipv4"]).sends(arp(REQUEST, OWN_MAC, OWN, PEER), null)), "Ethertype");
  assert.equal(
    reason(only(["arp"]).receives(arp(REPLY, OTHER_MAC, PEER, OWN), null)),
    "Ethertype",
    "ingress has its own rules",
  );
});

/** What has no socket at all, as the kernel's ARP; and what one of its control sockets sends. */
const SOCKETLESS = { socket: { none: true } };
const KERNEL = { socket: { kernel: true } };

test("without a default, the kernel's ARP passes, and no packet socket's", () => {
  const scene = new Scene([profileOf("web", { actions: ["enforce"] })]);
  const request = arp(REQUEST, OWN_MAC, OWN, PEER);
  assert.equal(reason(scene.sends(request, null, SOCKETLESS)), "Allowed");
  assert.equal(reason(scene.sends(request, null)), "Ethertype");
  assert.equal(reason(scene.receives(arp(REQUEST, OTHER_MAC, PEER, OWN), null)), "Allowed");
  assert.equal(reason(scene.receives(arp(REPLY, OTHER_MAC, PEER, PEER), null)), "Allowed", "an announcement");
  assert.equal(reason(scene.receives(arp(REPLY, OTHER_MAC, PEER, "10.0.0.9"), null)), "Ethertype");
  const longer = Uint8Array.from([...request, ...Array(19).fill(0)]);
  assert.equal(reason(scene.sends(longer, null, SOCKETLESS)), "Malformed");
});

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const nd = (
  source: string,
  destination: string,
  type: number,
  target: string,
  options: number[] = [],
  hopLimit = 255,
) => {
  const message = icmp(type, 0, [...addressBytes(target), ...options]);
  return ipv6(source, destination, 58, message, message.length, hopLimit);
};

test("without a default, neighbour discovery of the kernel and of neighbours passes, and no other ICMPv6", () => {
  const scene = new Scene([profileOf("web", { actions: ["enforce"] })]);
  const solicitation = (options?: number[], hopLimit?: number) =>
    nd(OWN6, "ff02::1:ff00:2", SOLICITATION, "2001:db8::2", options, hopLimit);
  assert.equal(reason(scene.sends(solicitation(), null, KERNEL)), "Allowed");
  assert.equal(reason(scene.sends(solicitation([1, 1, ...OWN_MAC]), null, KERNEL)), "Allowed");
  for (const options of [[1, 0, ...OWN_MAC], [1, 2, ...OWN_MAC], [1, 1, 2], Array(1300).fill(1)])
    assert.equal(reason(scene.sends(solicitation(options), null, KERNEL)), "Unattributed", "ill-formed options");
  assert.equal(reason(scene.sends(solicitation([], 64), null, KERNEL)), "Unattributed", "not from the link");
  assert.equal(reason(scene.sends(solicitation(), null)), "Unattributed", "a packet socket's");
  assert.equal(reason(scene.sends(solicitation())), "BinaryUnknown", "a process's");
  assert.equal(reason(scene.receives(nd("2001:db8::2", OWN6, ADVERTISEMENT, "2001:db8::2"), null)), "Allowed");
  assert.equal(reason(scene.receives(nd("2001:db8::2", "ff02::1:ff00:1", SOLICITATION, OWN6), null)), "Allowed");
  assert.equal(reason(scene.receives(nd("2001:db8::2", OWN6, ADVERTISEMENT, OWN6, [], 64), null)), "Unattributed");
  assert.equal(reason(scene.receives(ipv6("2001:db8::2", OWN6, 58, icmp(128)), null)), "Unattributed");
  assert.equal(
    reason(scene.sends(ipv4(OWN, PEER, 58, icmp(SOLICITATION)), null)),
    "Unattributed",
    "ICMPv6 inside IPv4 is none",
  );
});

test("attacks are off unless listed", () => {
  const scene = guarded();
  assert.equal(reason(scene.sends(arp(REPLY, OTHER_MAC, PEER, PEER), null)), "Allowed");
  assert.equal(reason(scene.sends(ipv4(PEER, PEER, 17, udp(1, 2)), null)), "Allowed");
  assert.equal(reason(scene.sends(nd("2001:db8::9", "ff02::1", ADVERTISEMENT, "2001:db8::9"), null)), "Allowed");
});

test("arp-spoofing: the sender is the workload's own address and MAC, in both headers", () => {
  const scene = guarded("arp-spoofing");
  assert.equal(reason(scene.sends(arp(REQUEST, OWN_MAC, OWN, PEER), null)), "Allowed");
  assert.equal(reason(scene.sends(arp(REQUEST, OWN_MAC, "0.0.0.0", OWN), null)), "Allowed");
  assert.equal(reason(scene.sends(arp(REPLY, OWN_MAC, PEER, "10.0.0.3"), null)), "ArpSpoofing");
  assert.equal(reason(scene.sends(arp(REPLY, OTHER_MAC, OWN, PEER), null)), "ArpSpoofing");
  assert.equal(reason(scene.sends(arp(REPLY, OWN_MAC, OWN, PEER, OTHER_MAC), null)), "ArpSpoofing");
});

test("arp-spoofing, ndp-spoofing: the kernel speaks for itself, of an address or interface that is new", () => {
  const scene = guarded("arp-spoofing", "ndp-spoofing");
  assert.equal(reason(scene.sends(arp(REQUEST, OTHER_MAC, "10.0.0.77", PEER), null, SOCKETLESS)), "Allowed");
  const advertisement = nd("2001:db8::77", "ff02::1", ADVERTISEMENT, "2001:db8::77");
  assert.equal(reason(scene.sends(advertisement, null, KERNEL)), "Allowed");
});

test("arp-spoofing: nobody else may claim one of the workload's addresses", () => {
  const scene = guarded("arp-spoofing");
  assert.equal(reason(scene.receives(arp(REPLY, OTHER_MAC, OWN, OWN), null)), "ArpSpoofing", "a gratuitous takeover");
  assert.equal(reason(scene.receives(arp(REPLY, OTHER_MAC, PEER, OWN), null)), "Allowed");
  assert.equal(
    reason(scene.receives(arp(REQUEST, OWN_MAC, OWN, OWN), null)),
    "Allowed",
    "its own announcement, come back",
  );
});

test("ip-spoofing: what is sent has one of the workload's own addresses", () => {
  const scene = guarded("ip-spoofing");
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 17, udp(1, 2)))), "Allowed");
  assert.equal(reason(scene.sends(ipv4("10.0.0.9", PEER, 17, udp(1, 2)))), "IpSpoofing");
  assert.equal(reason(scene.sends(ipv6("2001:db8::9", "2001:db8::2", 6, tcp(1, 2, 2)))), "IpSpoofing");
  assert.equal(reason(scene.receives(ipv4("10.0.0.9", OWN, 17, udp(3, 4)))), "Allowed");
});

test("ip-spoofing: a host without an address may look for one, and may not do anything else", () => {
  const scene = guarded("ip-spoofing");
  assert.equal(reason(scene.sends(ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 67)))), "Allowed");
  assert.equal(reason(scene.sends(ipv4("0.0.0.0", PEER, 17, udp(68, 67)))), "IpSpoofing");
  assert.equal(reason(scene.sends(ipv4("0.0.0.0", "255.255.255.255", 17, udp(68, 53)))), "IpSpoofing");
  assert.equal(reason(scene.sends(nd("::", "ff02::1:ff00:1", SOLICITATION, OWN6))), "Allowed");
  assert.equal(reason(scene.sends(ipv6("::", "ff02::16", 58, icmp(143)))), "Allowed");
  assert.equal(reason(scene.sends(ipv6("::", "ff02::1", 17, udp(1, 2)))), "IpSpoofing");
});

test("ip-spoofing: an ICMP error about an allowed flow is no excuse", () => {
  const scene = guarded("ip-spoofing");
  scene.receives(ipv4(PEER, OWN, 17, udp(5, 6)));
  const quoted = [...ipv4(PEER, OWN, 17, udp(5, 6)).subarray(14)];
  assert.equal(reason(scene.sends(ipv4(OWN, PEER, 1, icmp(3, 0, quoted)), null, KERNEL)), "Allowed");
  assert.equal(reason(scene.sends(ipv4("10.0.0.9", PEER, 1, icmp(3, 0, quoted)), null)), "IpSpoofing");
});

test("ndp-spoofing: solicitations come from the workload's own address, advertisements are about one, routers are others", () => {
  const scene = guarded("ndp-spoofing");
  assert.equal(reason(scene.sends(nd(OWN6, "2001:db8::2", ADVERTISEMENT, OWN6), null)), "Allowed");
  assert.equal(reason(scene.sends(nd("::", "ff02::1:ff00:1", SOLICITATION, OWN6), null)), "Allowed");
  assert.equal(reason(scene.sends(nd(OWN6, "2001:db8::2", ADVERTISEMENT, "2001:db8::9"), null)), "NdpSpoofing");
  assert.equal(reason(scene.sends(nd("2001:db8::9", "2001:db8::2", SOLICITATION, OWN6), null)), "NdpSpoofing");
  assert.equal(reason(scene.sends(ipv6(OWN6, "ff02::1", 58, icmp(ADVERTISEMENT)), null)), "NdpSpoofing", "cut off");
  assert.equal(reason(scene.sends(ipv6(OWN6, "ff02::1", 58, icmp(134)), null)), "NdpSpoofing");
  assert.equal(reason(scene.sends(ipv6(OWN6, "ff02::1", 58, icmp(137)), null)), "NdpSpoofing");
  assert.equal(reason(scene.receives(ipv6("fe80::1", "ff02::1", 58, icmp(134)), null)), "Allowed");
});
