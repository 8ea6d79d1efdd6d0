/** Random packets outside of conversations: echo, errors, neighbours, and things that no honest host sends. */

import { formatIp, mapIpv4 } from "../../../src/policy/table/addresses.ts";
import { bytesToNumber } from "../../../src/policy/table/prefixes.ts";
import type { Random } from "../../../src/policy/testing/random.ts";
import { addressBytes } from "../../packets/bytes.ts";
import { arp, ETHERTYPE, frame, HOST_MAC, SECOND_MAC, tagged, WORKLOAD_MAC } from "../../packets/ethernet.ts";
import {
  authenticationHeader,
  type Extension,
  fragmentHeader,
  type IpEnds,
  ip,
  ipv4,
  ipv6,
  optionsHeader,
  quoted,
  routingHeader,
} from "../../packets/ip.ts";
import { HTTP_REQUEST } from "../../packets/payloads.ts";
import { icmp, icmpv6, PROTOCOL, ping6, raw, sctp, tcp, udp } from "../../packets/transport.ts";
import type { PacketStep } from "../case.ts";
import { OWN_LINK_LOCAL, OWN4, OWN6, PEERS4, PEERS6 } from "../world.ts";
import { cutInTwo, ipv4Options, randomEcho } from "./random-echo.ts";
import {
  endsOf,
  macsOf,
  type Owner,
  opposite,
  packetStep,
  randomDirection,
  randomOwner,
  type Sent,
} from "./random-steps.ts";

/** Hop limits: as hosts have them, on the link only, and as discovery demands it. */
const HOP_LIMITS = [255, 255, 255, 64, 1] as const;

/** One of them. @param sent what was sent before; an echo is added to it */
export function randomOddity(random: Random, sent: Sent[]): PacketStep {
  const kind = random.below(32);
  if (kind < 5) return randomEcho(random, sent);
  if (kind < 10) return icmpError(random, sent);
  if (kind < 14) return neighbour(random);
  if (kind < 18) return arpMessage(random);
  if (kind < 21) return stranger(random);
  if (kind < 26) return extended(random);
  return kind < 28 ? igmp(random) : other(random);
}

/** Who sends what the kernel alone should: it, somebody, or nobody that can be known. */
function randomSender(random: Random): Owner {
  const kind = random.below(10);
  if (kind < 5) return { kernel: true };
  if (kind < 7) return { socketless: true };
  return kind < 8 ? {} : randomOwner(random);
}

/** About a packet that was sent before, mostly one that went the other way, and to its sender. */
function icmpError(random: Random, sent: Sent[]): PacketStep {
  const about = sent.length === 0 ? null : random.pick(sent);
  const direction = about && random.chance(0.85) ? opposite(about.direction) : randomDirection(random);
  const inner = about ? quoted(about.packet, random.pick([1500, 528, 549, 28, 48, 27, 60])) : [];
  const padding: number[] = Array(random.chance(0.1) ? random.pick([500, 520, 1200, 1232]) : 0).fill(0);
  const isIpv6 = about ? (about.packet[0] as number) >> 4 === 6 : random.chance(0.5);
  const cross = random.chance(0.04);
  const [from, to] =
    isIpv6 !== cross ? endsOf(OWN6, random.pick(PEERS6), direction) : endsOf(OWN4, random.pick(PEERS4), direction);
  const error = isIpv6
    ? icmpv6({ type: random.pick([1, 2, 3, 4, 5]) }, [...inner, ...padding])
    : icmp({ type: random.pick([3, 11, 12, 5]) }, [...inner, ...padding]);
  const strange = random.chance(0.03) ? { from: random.pick(PEERS4), to } : { from, to };
  const ends = about && !cross && random.chance(0.8) ? answered(about.packet, strange, random) : strange;
  if (ends.from.includes(":") !== ends.to.includes(":")) return other(random);
  const packet = random.chance(0.05) ? cutInTwo(ends, error) : ip(ends, error);
  return packetStep(direction, frame(packet, macsOf(direction)), randomSender(random));
}

/** The ends of an error that goes to the sender of a packet, mostly from where that was meant to go. */
function answered(packet: number[], strange: IpEnds, random: Random): IpEnds {
  const isIpv6 = (packet[0] as number) >> 4 === 6;
  const [source, destination] = isIpv6 ? [8, 24] : [12, 16];
  const length = isIpv6 ? 16 : 4;
  const at = (offset: number) => addressText(packet.slice(offset, offset + length));
  return { from: random.chance(0.7) ? at(destination as number) : strange.from, to: at(source as number) };
}

function neighbour(random: Random): PacketStep {
  const direction = randomDirection(random);
  const own = random.pick([OWN6, OWN_LINK_LOCAL, "::", OWN6]);
  const peer = random.pick([...PEERS6, "ff02::1", "ff02::1:ff00:2"]);
  const target = random.pick([OWN6, OWN_LINK_LOCAL, ...PEERS6]);
  const type = random.pick([135, 135, 136, 136, 133, 134, 137, 143, 131, 132, 130]);
  const fixed = type === 135 || type === 136 ? addressBytes(target) : Array(type === 134 ? 8 : 0).fill(0);
  const options = random.list(2, () => ndOption(random)).flat();
  const code = random.chance(0.1) ? { code: 1 } : {};
  const long: number[] = random.chance(0.05) ? Array(8 * random.below(150)).fill(1) : [];
  const message = icmpv6({ type, ...code }, [...fixed, ...options, ...long]);
  const [from, to] = endsOf(own, random.chance(0.9) ? peer : "2001:db8::7", direction);
  const packet = ipv6({ from, to, hopLimit: random.pick(HOP_LIMITS) }, message);
  return packetStep(direction, frame(packet, macsOf(direction)), randomSender(random));
}

/** Type, length in units of 8 bytes, and the rest; sometimes not as long as it says. */
function ndOption(random: Random): number[] {
  const units = random.pick([1, 1, 1, 2, 4]);
  const said = random.chance(0.1) ? random.below(4) : units;
  return [random.pick([1, 2, 3, 14]), said, ...Array(units * 8 - 2).fill(7)];
}

/** IGMP, as hosts and routers send it, and not quite so. */
function igmp(random: Random): PacketStep {
  const direction = randomDirection(random);
  const [from, to] = endsOf(
    random.chance(0.7) ? OWN4 : random.pick(PEERS4),
    random.pick(["224.0.0.1", "224.0.0.22", "239.1.2.3", PEERS4[0]]),
    "egress",
  );
  const type = random.pick([0x11, 0x16, 0x22, 0x17]);
  const packet = ipv4({ from, to, ttl: random.pick([1, 1, 64]) }, raw(PROTOCOL.igmp, [type, 0, 0, 0, 239, 1, 2, 3]));
  return packetStep(direction, frame(packet, macsOf(direction)), randomSender(random));
}

function arpMessage(random: Random): PacketStep {
  const direction = randomDirection(random);
  const fields = {
    operation: random.pick([1, 2]),
    sender: random.pick([OWN4, "10.0.0.1", "0.0.0.0"]),
    senderMac: random.pick([WORKLOAD_MAC, WORKLOAD_MAC, SECOND_MAC, HOST_MAC]),
    target: random.pick([OWN4, "10.0.0.1", "0.0.0.0"]),
  };
  const ethernet = random.chance(0.2) ? { source: HOST_MAC } : {};
  const padding = random.pick([0, 0, 18, 19, 1, 7]);
  const message = arp(fields, { ...ethernet, padding });
  if (random.chance(0.2)) message[message.length - 1] = 1;
  return packetStep(direction, message, randomSender(random));
}

/** From an address that is not the workload's own, or with ends as a host without an address has them. */
function stranger(random: Random): PacketStep {
  const transport = random.pick([
    udp({ from: 68, to: 67 }, [1, 2, 3]),
    tcp({ from: 4000, to: 80, flags: "S" }),
    sctp({ from: 4000, to: random.pick([80, 81]) }, [1, 0, 0, 4]),
    icmpv6({ type: 143 }, Array(16).fill(0)),
  ]);
  const [from, to] = random.pick([
    ["0.0.0.0", "255.255.255.255"],
    ["10.0.0.99", "10.1.2.3"],
    ["::", "ff02::16"],
    ["::ffff:10.0.0.2", "::ffff:10.1.2.3"],
    [OWN6, "::ffff:10.1.2.3"],
    [OWN4, "10.1.2.3"],
  ] as const);
  return packetStep("egress", frame(ip({ from, to }, transport)), random.chance(0.5) ? randomOwner(random) : {});
}

function extended(random: Random): PacketStep {
  const direction = randomDirection(random);
  const transport = random.pick([
    udp({ from: 40000, to: 80 }, HTTP_REQUEST),
    ping6(),
    tcp({ from: 40000, to: 80, flags: "S" }),
  ]);
  if (random.chance(0.3)) {
    const [from, to] = endsOf(OWN4, random.pick(PEERS4), direction);
    const options = ipv4Options(random);
    const odd = random.chance(0.3) ? { headerWords: random.below(16) } : {};
    return packetStep(direction, frame(ipv4({ from, to, options, ...odd }, transport)), randomOwner(random));
  }
  const [from, to] = endsOf(OWN6, random.pick(PEERS6), direction);
  const extensions = Array.from({ length: random.below(11) }, () => extension(random));
  return packetStep(direction, frame(ipv6({ from, to, extensions }, transport)), randomOwner(random));
}

function extension(random: Random): Extension {
  return random.pick([
    optionsHeader(PROTOCOL.hopByHop),
    optionsHeader(PROTOCOL.destinationOptions, 1 + random.below(3)),
    routingHeader(random.chance(0.3) ? 1 + random.below(3) : 0),
    authenticationHeader(),
    fragmentHeader({
      identification: random.below(3),
      offset: random.pick([0, 0, 0, 0, 8, 24]),
      more: random.chance(0.3),
    }),
  ]);
}

function other(random: Random): PacketStep {
  const inner = frame(
    ip({ from: OWN4, to: random.pick(PEERS4) }, raw(random.pick([47, 2, 4, 132, 255]), [1, 2, 3, 4])),
  );
  const made = random.pick([
    inner,
    tagged(inner, 5),
    frame([1, 2, 3, 4], { type: ETHERTYPE.lldp }),
    frame(Array(46).fill(0), { type: 46 }),
    frame([...inner.subarray(14)], { type: ETHERTYPE.ipv6 }),
  ]);
  return packetStep(randomDirection(random), made, random.chance(0.5) ? randomOwner(random) : {});
}

function addressText(bytes: number[]): string {
  const number = bytesToNumber(Uint8Array.from(bytes));
  return formatIp(bytes.length === 4 ? mapIpv4(number) : number);
}
