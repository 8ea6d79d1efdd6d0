/** Random packets outside of conversations: echo, errors, neighbours, and things that no honest host sends. */
import type { Random } from "../../src/policy/testing/random.ts";
import { arp, ETHERTYPE, frame, HOST_MAC, tagged, WORKLOAD_MAC } from "../packets/ethernet.ts";
import {
  authenticationHeader,
  type Extension,
  fragmentHeader,
  ip,
  ipv4,
  ipv6,
  optionsHeader,
  quoted,
  routingHeader,
} from "../packets/ip.ts";
import { HTTP_REQUEST } from "../packets/payloads.ts";
import {
  icmp,
  icmpv6,
  neighbourAdvertisement,
  neighbourSolicitation,
  PROTOCOL,
  ping,
  ping6,
  pong,
  pong6,
  raw,
  sctp,
  tcp,
  udp,
} from "../packets/transport.ts";
import type { PacketStep } from "./case.ts";
import { endsOf, macsOf, opposite, packetStep, randomDirection, randomOwner, type Sent } from "./random-steps.ts";
import { OWN_LINK_LOCAL, OWN4, OWN6, PEERS4, PEERS6 } from "./world.ts";

/** One of them. @param sent what was sent before; an echo is added to it */
export function randomOddity(random: Random, sent: Sent[]): PacketStep {
  const kind = random.below(30);
  if (kind < 5) return echo(random, sent);
  if (kind < 10) return icmpError(random, sent);
  if (kind < 14) return neighbour(random);
  if (kind < 18) return arpMessage(random);
  if (kind < 21) return stranger(random);
  return kind < 26 ? extended(random) : other(random);
}

function echo(random: Random, sent: Sent[]): PacketStep {
  const direction = randomDirection(random);
  const isIpv6 = random.chance(0.4);
  const make = random.pick(isIpv6 ? [ping6, pong6] : [ping, pong, ping6]);
  const [from, to] = isIpv6
    ? endsOf(OWN6, random.pick(PEERS6), direction)
    : endsOf(OWN4, random.pick(PEERS4), direction);
  const packet = ip({ from, to }, make(random.below(2)));
  sent.push({ direction, packet });
  const kernel = random.chance(0.3) ? { kernel: true } : randomOwner(random);
  return packetStep(direction, frame(packet, macsOf(direction)), kernel);
}

/** About a packet that was sent before, mostly one that went the other way. */
function icmpError(random: Random, sent: Sent[]): PacketStep {
  const about = sent.length === 0 ? null : random.pick(sent);
  const direction = about && random.chance(0.85) ? opposite(about.direction) : randomDirection(random);
  const inner = about ? quoted(about.packet, random.pick([1500, 28, 48, 27, 60])) : [];
  const isIpv6 = about ? (about.packet[0] as number) >> 4 === 6 : random.chance(0.5);
  const cross = random.chance(0.04);
  const [from, to] =
    isIpv6 !== cross ? endsOf(OWN6, random.pick(PEERS6), direction) : endsOf(OWN4, random.pick(PEERS4), direction);
  const error = isIpv6
    ? icmpv6({ type: random.pick([1, 2, 3, 4, 5]) }, inner)
    : icmp({ type: random.pick([3, 11, 12, 5]) }, inner);
  const owner = random.chance(0.7) ? { kernel: true } : randomOwner(random);
  const ends = random.chance(0.03) ? { from: random.pick(PEERS4), to } : { from, to };
  if (ends.from.includes(":") !== ends.to.includes(":")) return other(random);
  return packetStep(direction, frame(ip(ends, error), macsOf(direction)), owner);
}

function neighbour(random: Random): PacketStep {
  const direction = randomDirection(random);
  const own = random.pick([OWN6, OWN_LINK_LOCAL, "::", OWN6]);
  const peer = random.pick([...PEERS6, "ff02::1", "ff02::1:ff00:2"]);
  const target = random.pick([OWN6, OWN_LINK_LOCAL, ...PEERS6]);
  const message = random.pick([
    neighbourSolicitation(target),
    neighbourAdvertisement(target),
    icmpv6({ type: random.pick([133, 134, 137, 143, 130]) }, Array(16).fill(0)),
  ]);
  const [from, to] = endsOf(own, random.chance(0.9) ? peer : "2001:db8::7", direction);
  return packetStep(direction, frame(ip({ from, to }, message), macsOf(direction)), {});
}

function arpMessage(random: Random): PacketStep {
  const direction = randomDirection(random);
  const fields = {
    operation: random.pick([1, 2]),
    sender: random.pick([OWN4, "10.0.0.1", "0.0.0.0"]),
    senderMac: random.pick([WORKLOAD_MAC, HOST_MAC]),
    target: random.pick([OWN4, "10.0.0.1", "0.0.0.0"]),
  };
  const ethernet = random.chance(0.2) ? { source: HOST_MAC } : {};
  return packetStep(direction, arp(fields, ethernet), {});
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
    const options = Array(4 * (1 + random.below(10))).fill(1);
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
    routingHeader(),
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
