/** Section 8: attacks that one packet shows. Off unless listed. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Attack } from "../../src/api/types.ts";
import { APP, LINK_LOCAL, OWN, OWN6, PEER, PEER6, Scene } from "../../test/harness/scene.ts";
import { addressRecord } from "../../test/packets/dns.ts";
import { arp, frame, HOST_MAC, SECOND_MAC, WORKLOAD_MAC } from "../../test/packets/ethernet.ts";
import { ip, ipv4, ipv6, quoted } from "../../test/packets/ip.ts";
import {
  icmp,
  icmpv6,
  neighbourAdvertisement,
  neighbourSolicitation,
  type Transport,
  tcp,
  udp,
} from "../../test/packets/transport.ts";

const scene = new Scene("attacks");
after(() => scene[Symbol.dispose]());

const open = {
  cidr4: ["0.0.0.0/0"],
  cidr6: ["::/0"],
  l3: { protocols: ["ipv4" as const, "ipv6" as const, "arp" as const] },
  l4: { protocols: ["any" as const] },
};

/** Everything is allowed but these attacks. */
function guard(...attacks: Attack[]) {
  const network = { egress: open, ingress: open };
  scene.begin({
    actions: ["enforce"],
    ...(attacks.length > 0 ? { attacks } : {}),
    default: network,
    processes: [{ path: APP.path, network }],
  });
}

const GATEWAY = "10.0.0.1";
const OTHER = "10.0.0.99";
const OTHER_MAC = "02:00:00:00:00:77";

describe("arp-spoofing", () => {
  const taken = arp({ operation: 2, sender: GATEWAY, target: OWN });

  test("off unless listed", () => {
    guard();
    assert.equal(scene.outFrame(taken, {}), "Allowed");
  });

  test("a sender that is not the workload's own address and hardware address", () => {
    guard("arp-spoofing");
    assert.equal(scene.outFrame(arp({ sender: OWN, target: GATEWAY }), {}), "Allowed");
    assert.equal(scene.outFrame(taken, {}), "ArpSpoofing");
    assert.equal(scene.outFrame(arp({ sender: OWN, senderMac: OTHER_MAC, target: GATEWAY }), {}), "ArpSpoofing");
    assert.equal(scene.outFrame(arp({ sender: OWN, target: GATEWAY }, { source: OTHER_MAC }), {}), "ArpSpoofing");
  });

  test("a second interface of its own is no stranger, neither when it speaks nor when it is heard", () => {
    guard("arp-spoofing");
    assert.equal(scene.outFrame(arp({ sender: OWN, senderMac: SECOND_MAC, target: GATEWAY }), {}), "Allowed");
    assert.equal(scene.inFrame(arp({ operation: 2, sender: OWN, senderMac: SECOND_MAC, target: OWN })), "Allowed");
    assert.equal(scene.inFrame(arp({ operation: 2, sender: OWN, senderMac: OTHER_MAC, target: OWN })), "ArpSpoofing");
  });

  test("gratuitous ones of its own pass, those of others do not", () => {
    guard("arp-spoofing");
    assert.equal(scene.outFrame(arp({ operation: 2, sender: OWN, target: OWN }), {}), "Allowed");
    assert.equal(scene.outFrame(arp({ operation: 2, sender: OTHER, target: OTHER }), {}), "ArpSpoofing");
  });

  test("a probe for duplicates has no address yet", () => {
    guard("arp-spoofing");
    assert.equal(scene.outFrame(arp({ sender: "0.0.0.0", target: OWN }), {}), "Allowed");
  });

  test("somebody else who claims the workload's address", () => {
    guard("arp-spoofing");
    assert.equal(scene.inFrame(arp({ sender: OWN, senderMac: OTHER_MAC, target: GATEWAY })), "ArpSpoofing");
    assert.equal(scene.inFrame(arp({ sender: OWN, senderMac: WORKLOAD_MAC, target: GATEWAY })), "Allowed");
    assert.equal(scene.inFrame(arp({ sender: GATEWAY, senderMac: HOST_MAC, target: OWN })), "Allowed");
  });
});

describe("ip-spoofing", () => {
  const from = (source: string, to: string, transport: Transport = udp({ from: 4000, to: 80 })) =>
    scene.outFrame(frame(ip({ from: source, to }, transport)));

  test("off unless listed", () => {
    guard();
    assert.equal(from(OTHER, PEER), "Allowed");
  });

  test("a source address that is not the workload's", () => {
    guard("ip-spoofing");
    assert.equal(from(OWN, PEER), "Allowed");
    assert.equal(from(OTHER, PEER), "IpSpoofing");
    for (const own of [OWN6, LINK_LOCAL]) assert.equal(from(own, PEER6), "Allowed");
    assert.equal(from("fd00::99", PEER6), "IpSpoofing");
    assert.equal(from("127.0.0.1", PEER), "IpSpoofing");
  });

  test("a host without an address may ask for one, and make itself known", () => {
    guard("ip-spoofing");
    const dhcp = udp({ from: 68, to: 67 }, "discover");
    assert.equal(from("0.0.0.0", "255.255.255.255", dhcp), "Allowed");
    assert.equal(from("0.0.0.0", "255.255.255.255", udp({ from: 69, to: 67 })), "IpSpoofing");
    assert.equal(from("0.0.0.0", PEER, dhcp), "IpSpoofing");
    assert.equal(from("::", "ff02::1:ff00:2", neighbourSolicitation(OWN6)), "Allowed");
    assert.equal(from("::", "ff02::16", icmpv6({ type: 143 })), "Allowed");
    assert.equal(from("::", PEER6, icmpv6({ type: 128 })), "IpSpoofing");
  });

  test("an ICMP error about an open flow is no excuse", () => {
    guard("ip-spoofing");
    assert.equal(scene.in(PEER, udp({ from: 4000, to: 80 }), { process: APP }), "Allowed");
    const about = quoted(ipv4({ from: PEER, to: OWN }, udp({ from: 4000, to: 80 })));
    assert.equal(from(OWN, PEER, icmp({ type: 3 }, about)), "Allowed");
    assert.equal(from(OTHER, PEER, icmp({ type: 3 }, about)), "IpSpoofing");
  });

  test("what comes in may come from anywhere", () => {
    guard("ip-spoofing");
    assert.equal(scene.in(PEER, tcp({ from: 4000, to: 80, flags: "S" }), { process: APP }), "Allowed");
  });
});

describe("ndp-spoofing", () => {
  const send = (transport: Transport, source = OWN6) =>
    scene.outFrame(frame(ipv6({ from: source, to: "ff02::1" }, transport)), {});

  test("off unless listed", () => {
    guard();
    assert.equal(send(neighbourAdvertisement(PEER6)), "Allowed");
  });

  test("an advertisement of an address that is not the workload's, or from one", () => {
    guard("ndp-spoofing");
    assert.equal(send(neighbourAdvertisement(OWN6)), "Allowed");
    assert.equal(send(neighbourAdvertisement(LINK_LOCAL), LINK_LOCAL), "Allowed");
    assert.equal(send(neighbourAdvertisement("fd00::1")), "NdpSpoofing");
    assert.equal(send(neighbourAdvertisement(OWN6), "fd00::1"), "NdpSpoofing");
    assert.equal(send(icmpv6({ type: 136 }, [1, 2, 3])), "NdpSpoofing", "too short to tell");
  });

  test("solicitations go out from own addresses, or from none", () => {
    guard("ndp-spoofing");
    assert.equal(send(neighbourSolicitation("fd00::1")), "Allowed");
    assert.equal(send(neighbourSolicitation(OWN6), "::"), "Allowed");
    assert.equal(send(neighbourSolicitation("fd00::1"), "fd00::99"), "NdpSpoofing");
  });

  test("what only routers say", () => {
    guard("ndp-spoofing");
    assert.equal(send(icmpv6({ type: 134 }, Array(8).fill(0)), LINK_LOCAL), "NdpSpoofing");
    assert.equal(send(icmpv6({ type: 137 }, Array(32).fill(0)), LINK_LOCAL), "NdpSpoofing");
    assert.equal(send(icmpv6({ type: 133 }), LINK_LOCAL), "Allowed");
  });

  test("padding is no target", () => {
    guard("ndp-spoofing");
    const short = ipv6({ from: OWN6, to: "ff02::1" }, icmpv6({ type: 136 }));
    const bytes = Buffer.concat([
      frame(short),
      frame(ipv6({ from: OWN6, to: OWN6 }, icmpv6({ type: 136 }))).subarray(22, 38),
    ]);
    assert.equal(scene.outFrame(bytes, {}), "NdpSpoofing");
  });
});

describe("dns-spoofing", () => {
  const records = [addressRecord(PEER)];

  test("off unless listed: then such answers pass, and teach nothing", () => {
    guard();
    scene.ask("example.com", { id: 7 });
    assert.equal(scene.reply("example.com", records, { id: 8 }), "Allowed");
    assert.equal(scene.harness.maps.learned.count(), 0);
  });

  test("answers with a wrong id, or to a question that nobody asked", () => {
    guard("dns-spoofing");
    assert.equal(scene.ask("example.com", { id: 7 }), "Allowed");
    assert.equal(scene.reply("example.com", records, { id: 8 }), "DnsSpoofing");
    assert.equal(scene.reply("example.org", records, { id: 7 }), "DnsSpoofing");
    assert.equal(scene.reply("example.com", records, { id: 7, type: 28 }), "DnsSpoofing");
    assert.equal(scene.reply("example.com", records, { id: 7 }), "Allowed", "the right one still counts");
    assert.equal(scene.reply("example.com", records, { id: 7 }), "Allowed", "a repeated one too");
    scene.harness.advance(31);
    assert.equal(scene.reply("example.com", records, { id: 7 }), "DnsSpoofing", "nobody waits for it any more");
  });

  test("from elsewhere they have no flow", () => {
    scene.begin({
      actions: ["enforce"],
      attacks: ["dns-spoofing"],
      processes: [{ path: APP.path, network: { egress: open } }],
    });
    scene.ask("example.com", { id: 7 });
    assert.equal(scene.reply("example.com", records, { id: 7 }, "10.0.0.54"), "Unattributed");
  });
});
