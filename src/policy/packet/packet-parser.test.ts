import assert from "node:assert/strict";
import { test } from "node:test";
import { formatIp } from "../table/addresses.ts";
import {
  addressBytes,
  arp,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  long,
  OTHER_MAC,
  OWN_MAC,
  tcp,
  text,
  udp,
  word,
} from "../testing/frames.ts";
import { Random } from "../testing/random.ts";
import type { IpPacket } from "./packet.ts";
import { parsePacket } from "./packet-parser.ts";

const A = "10.0.0.1";
const B = "10.0.0.2";
const A6 = "2001:db8::1";
const B6 = "2001:db8::2";
const MORE = 0x2000;

function ip(frame: Uint8Array): IpPacket {
  const packet = parsePacket(frame);
  assert.equal(
    packet.kind,
    "ip",
    JSON.stringify(packet, (_, value) => (typeof value === "bigint" ? String(value) : value)),
  );
  return packet as IpPacket;
}

function bad(frame: Uint8Array, reason: "Malformed" | "Fragment") {
  const packet = parsePacket(frame);
  assert.equal(packet.kind === "bad" ? packet.reason : packet.kind, reason);
}

test("Ethernet: what is neither IP nor ARP is of no class that a profile can name", () => {
  for (const ethertype of [0x8100, 0x88a8, 0x8847, 0x0042, 0x88cc]) {
    assert.deepEqual(parsePacket(ethernet(ethertype, [1, 2, 3])), { kind: "other", ethertype });
  }
  bad(Uint8Array.from([1, 2, 3]), "Malformed");
});

test("ARP: sender and target, and nothing but IPv4 over Ethernet", () => {
  const packet = parsePacket(arp(1, OWN_MAC, A, B, OTHER_MAC));
  assert.equal(packet.kind, "arp");
  if (packet.kind !== "arp") return;
  assert.deepEqual([formatIp(packet.sender), formatIp(packet.target), packet.operation], [A, B, 1]);
  assert.deepEqual([packet.senderMac, packet.ethernetSource], ["02:00:00:00:00:01", "02:00:00:00:00:02"]);
  bad(arp(1, OWN_MAC, A, B).subarray(0, 41), "Malformed");
  for (const offset of [14, 16, 18, 19]) {
    const frame = arp(1, OWN_MAC, A, B);
    frame[offset] = 9;
    bad(frame, "Malformed");
  }
});

test("IPv4: addresses, ports and payload; Ethernet padding is no payload", () => {
  const frame = ipv4(A, B, 6, tcp(1000, 80, 0x18, text("hi"), 5));
  const packet = ip(Uint8Array.from([...frame, 0, 0, 0, 0]));
  assert.deepEqual([formatIp(packet.source), formatIp(packet.destination)], [A, B]);
  assert.deepEqual([packet.protocol, packet.sourcePort, packet.destinationPort], [6, 1000, 80]);
  assert.deepEqual(packet.tcp, { flags: 0x18, sequence: 5 });
  assert.equal(Buffer.from(packet.payload).toString(), "hi");
});

test("IPv4: options are stepped over", () => {
  const packet = ip(ipv4(A, B, 17, udp(1, 53, [9]), { options: [1, 1, 1, 1, 1, 1, 1, 0] }));
  assert.deepEqual([packet.destinationPort, [...packet.payload]], [53, [9]]);
});

test("IPv4: a version, header length or total length that cannot be is Malformed", () => {
  bad(ipv4(A, B, 17, udp(1, 2), { version: 6 }), "Malformed");
  bad(ipv4(A, B, 17, udp(1, 2), { totalLength: 19 }), "Malformed");
  bad(ipv4(A, B, 17, udp(1, 2), { totalLength: 29 }), "Malformed");
  bad(ipv4(A, B, 17, udp(1, 2), { totalLength: 20 }), "Malformed");
  const short = ipv4(A, B, 17, udp(1, 2));
  short[14] = 0x44;
  bad(short, "Malformed");
  bad(ethernet("ipv4", [0x45, 0, 0, 20]), "Malformed");
});

test("TCP, UDP, ICMP, SCTP: a header that is not whole is Malformed", () => {
  bad(ipv4(A, B, 6, tcp(1, 2, 2).slice(0, 19)), "Malformed");
  const shortOffset = tcp(1, 2, 2);
  shortOffset[12] = 4 << 4;
  bad(ipv4(A, B, 6, shortOffset), "Malformed");
  const longOffset = tcp(1, 2, 2);
  longOffset[12] = 6 << 4;
  bad(ipv4(A, B, 6, longOffset), "Malformed");
  bad(ipv4(A, B, 17, udp(1, 2, [], 7)), "Malformed");
  bad(ipv4(A, B, 17, udp(1, 2, [], 9)), "Malformed");
  bad(ipv4(A, B, 17, udp(1, 2).slice(0, 7)), "Malformed");
  bad(ipv4(A, B, 1, icmp(8).slice(0, 7)), "Malformed");
  bad(ipv4(A, B, 132, [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0]), "Malformed");
});

test("UDP: what lies behind the datagram's own length is no payload", () => {
  assert.deepEqual([...ip(ipv4(A, B, 17, udp(1, 2, [1, 2, 3], 9))).payload], [1]);
});

test("a SYN takes up a sequence number before the payload", () => {
  assert.equal(ip(ipv4(A, B, 6, tcp(1, 2, 0x02, [], 0xffff_ffff))).tcp?.sequence, 0);
});

test("protocols without ports have port 0", () => {
  for (const protocol of [2, 47, 50, 59]) {
    const packet = ip(ipv4(A, B, protocol, [1, 2, 3, 4]));
    assert.deepEqual([packet.protocol, packet.sourcePort, packet.destinationPort], [protocol, 0, 0]);
  }
});

test("IPv4 fragments: the first is read like a whole packet, later ones have no L4 header", () => {
  const first = ip(ipv4(A, B, 17, udp(1, 53, [7], 100), { identification: 9, fragment: MORE }));
  assert.deepEqual(
    [first.fragment, first.destinationPort],
    [{ identification: 9, part: "first", start: 0, end: 9 }, 53],
  );
  const later = ip(ipv4(A, B, 17, [1, 2, 3], { identification: 9, fragment: 1 }));
  assert.deepEqual(
    [later.fragment, later.destinationPort],
    [{ identification: 9, part: "later", start: 8, end: 11 }, 0],
  );
});

test("IPv4 fragments: one that hides the L4 header, or writes over it, is a Fragment violation", () => {
  bad(ipv4(A, B, 6, tcp(1, 2, 2).slice(0, 16), { fragment: MORE }), "Fragment");
  bad(ipv4(A, B, 17, [0, 1, 0, 2], { fragment: MORE }), "Fragment");
  bad(ipv4(A, B, 6, [1], { fragment: 1 }), "Fragment");
  bad(ipv4(A, B, 6, [1], { fragment: 2 | MORE }), "Fragment");
  assert.equal(ip(ipv4(A, B, 6, [1], { fragment: 3 })).fragment?.part, "later");
  bad(ipv4(A, B, 132, [1], { fragment: 1 }), "Fragment");
});

const hopByHop = (next: number) => [next, 0, 1, 4, 0, 0, 0, 0];
const fragmentHeader = (next: number, offset: number, more: number, id = 5) => [
  next,
  0,
  ...word((offset & 0xfff8) | more),
  ...long(id),
];

test("IPv6: extension headers are stepped over", () => {
  const authentication = [60, 1, 0, 0, ...long(1), ...long(2)];
  const rest = [
    ...hopByHop(43),
    ...[51, 0, 0, 0, 0, 0, 0, 0],
    ...authentication,
    ...[17, 1, ...Array(14).fill(0)],
    ...udp(5, 53, [1]),
  ];
  const packet = ip(ipv6(A6, B6, 0, rest));
  assert.deepEqual([formatIp(packet.source), formatIp(packet.destination)], [A6, B6]);
  assert.deepEqual([packet.protocol, packet.destinationPort, [...packet.payload]], [17, 53, [1]]);
});

test("IPv6: lengths that cannot be, jumbograms and more than 8 extension headers are Malformed", () => {
  bad(ipv6(A6, B6, 17, udp(1, 2), 9), "Malformed");
  bad(ipv6(A6, B6, 0, [...hopByHop(17), ...udp(1, 2)], 0), "Malformed");
  bad(ipv6(A6, B6, 60, [17, 1, 0, 0, 0, 0, 0, 0]), "Malformed");
  bad(ipv6(A6, B6, 60, [17, 0, 0]), "Malformed");
  const chain = (count: number, last: number[]) => [
    ...Array.from({ length: count }, () => hopByHop(60)).flat(),
    ...last,
  ];
  assert.equal(ip(ipv6(A6, B6, 60, chain(7, [...hopByHop(17), ...udp(1, 2)]))).destinationPort, 2);
  bad(ipv6(A6, B6, 60, chain(8, [...hopByHop(17), ...udp(1, 2)])), "Malformed");
  bad(ipv6(A6, B6, 60, [...chain(7, []), ...hopByHop(44), ...fragmentHeader(17, 8, 0)]), "Malformed");
});

test("IPv6: no next header is protocol 59, with port 0", () => {
  assert.equal(ip(ipv6(A6, B6, 59, [])).protocol, 59);
});

test("IPv6 fragments: first, later and atomic", () => {
  const first = ip(ipv6(A6, B6, 44, [...fragmentHeader(17, 0, 1), ...udp(1, 53, [], 100)]));
  assert.deepEqual(
    [first.fragment, first.destinationPort],
    [{ identification: 5, part: "first", start: 0, end: 8 }, 53],
  );
  const later = ip(ipv6(A6, B6, 44, [...fragmentHeader(17, 8, 0), 1, 2]));
  assert.deepEqual([later.fragment?.part, later.protocol], ["later", 17]);
  const atomic = ip(ipv6(A6, B6, 44, [...fragmentHeader(17, 0, 0), ...udp(1, 53)]));
  assert.deepEqual([atomic.fragment, atomic.destinationPort], [null, 53]);
  bad(ipv6(A6, B6, 44, [...fragmentHeader(6, 8, 1), 1, 2]), "Fragment");
  bad(ipv6(A6, B6, 44, [...fragmentHeader(6, 0, 1), 1, 2]), "Fragment");
});

test("every frame is of one kind: random bytes, and damaged frames, never throw", () => {
  const random = new Random(1);
  const seeds = [
    ipv4(A, B, 6, tcp(1, 2, 2)),
    ipv6(A6, B6, 0, [...hopByHop(44), ...fragmentHeader(17, 0, 1), ...udp(1, 2)]),
    arp(1, OWN_MAC, A, B),
  ];
  for (let round = 0; round < 5_000; round += 1) {
    const frame = Uint8Array.from(random.pick(seeds));
    for (let change = random.below(6); change > 0; change -= 1)
      frame[12 + random.below(frame.length - 12)] = random.below(256);
    const cut = random.chance(0.3) ? frame.subarray(0, random.below(frame.length)) : frame;
    assert.ok(["ip", "arp", "other", "bad"].includes(parsePacket(cut).kind));
  }
  assert.equal(addressBytes(A).length, 4);
});
