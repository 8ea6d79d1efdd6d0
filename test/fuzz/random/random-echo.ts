/** Random ICMP messages that are asked and answered: echo, and times. */
import type { Random } from "../../../src/policy/testing/random.ts";
import { text } from "../../packets/bytes.ts";
import { frame } from "../../packets/ethernet.ts";
import { fragments, type IpEnds, ip, ipv4 } from "../../packets/ip.ts";
import { icmp, icmpv6, ping6, type Transport } from "../../packets/transport.ts";
import type { PacketStep, Step } from "../case.ts";
import { OWN4, OWN6, PEERS4, PEERS6 } from "../world.ts";
import { endsOf, macsOf, packetStep, randomDirection, randomOwner, type Sent } from "./random-steps.ts";

/** What the kernel replies with, by what it is asked with. */
const REPLIES: ReadonlyMap<number, number> = new Map([
  [8, 0],
  [13, 14],
  [42, 43],
  [128, 129],
  [160, 161],
]);

/** A request or a reply. @param sent it is added to these */
export function randomEcho(random: Random, sent: Sent[]): PacketStep {
  const direction = randomDirection(random);
  const isIpv6 = random.chance(0.4);
  const [from, to] = isIpv6
    ? endsOf(OWN6, random.pick(PEERS6), direction)
    : endsOf(OWN4, random.pick(PEERS4), direction);
  const type = isIpv6 ? random.pick([128, 129, 161]) : random.pick([8, 8, 0, 0, 13, 14, 43]);
  const message = random.chance(0.05) ? ping6() : echoMessage(random, type, isIpv6);
  const packet = ip({ from, to }, message);
  sent.push({ direction, packet });
  const sender = random.chance(0.3) ? { kernel: true } : randomOwner(random);
  return packetStep(direction, frame(packet, macsOf(direction)), sender);
}

/** A peer asks, and the kernel replies: with what it was asked, or with something else; soon, late, or once more. */
export function randomExchange(random: Random): Step[] {
  const isIpv6 = random.chance(0.4);
  const [own, peer] = isIpv6 ? [OWN6, random.pick(PEERS6)] : [OWN4, random.pick(PEERS4)];
  const type = isIpv6 ? random.pick([128, 128, 128, 160]) : random.pick([8, 8, 8, 13, 42]);
  const request = echoMessage(random, type, isIpv6);
  const inPieces = random.chance(0.15);
  const asking = inPieces ? cutInTwo({ from: peer, to: own }, request) : ip({ from: peer, to: own }, request);
  const wait: Step[] = random.chance(0.2) ? [{ kind: "advance", seconds: random.pick([9, 11]) }] : [];
  const replies = Array.from({ length: 1 + random.below(2) }, () => {
    const reply = changed(random, repeated(request));
    const ends = { from: own, to: random.chance(0.9) ? peer : random.pick(isIpv6 ? PEERS6 : PEERS4) };
    const whole =
      !isIpv6 && random.chance(0.1) ? ipv4({ ...ends, options: ipv4Options(random) }, reply) : ip(ends, reply);
    const packet = inPieces && random.chance(0.8) ? cutInTwo(ends, reply) : whole;
    return packetStep("egress", frame(packet), random.chance(0.9) ? { kernel: true } : randomOwner(random));
  });
  return [packetStep("ingress", frame(asking, macsOf("ingress")), {}), ...wait, ...replies];
}

/** The first half of it, as a fragment. */
export function cutInTwo(ends: IpEnds, transport: Transport): number[] {
  const half = Math.max(8, 8 * Math.floor(transport.bytes.length / 16));
  return fragments(ends, transport, [half])[0] as number[];
}

/** Nothing, source routes, and what cannot be read to its end. */
export function ipv4Options(random: Random): number[] {
  const length = 4 * (1 + random.below(10));
  const made = random
    .list(4, () =>
      random.pick([[1], [148, 4, 0, 0], [random.pick([7, 68, 131, 137]), random.below(12), 4, 10, 0, 0, 1], [0]]),
    )
    .flat();
  return [...made, ...Array(length).fill(1)].slice(0, length);
}

function echoMessage(random: Random, type: number, isIpv6: boolean): Transport {
  const payload = random.pick([text("ping"), text("ping"), text("ping!"), Array(random.pick([1100, 1101])).fill(7)]);
  const times = random.chance(0.9) ? [1, 2, 3, random.below(2), ...Array(8).fill(random.below(9))] : [1, 2];
  const fields = { type, identifier: random.below(2), sequence: random.below(2), code: random.chance(0.05) ? 1 : 0 };
  if (isIpv6) return icmpv6(fields, payload);
  return icmp(fields, type === 13 || type === 14 ? times : payload);
}

function repeated({ bytes: [type = 0, ...rest], ...transport }: Transport): Transport {
  const reply = [REPLIES.get(type) ?? type, ...rest];
  reply.splice(2, 2, 0, 0);
  return { ...transport, bytes: reply };
}

/** Now and then another byte, or one more. */
function changed(random: Random, transport: Transport): Transport {
  if (random.chance(0.6)) return transport;
  if (random.chance(0.2)) return { ...transport, bytes: [...transport.bytes, 0] };
  const at = random.pick([1, 4, 5, 7, 8, 11, random.below(transport.bytes.length)]);
  return { ...transport, bytes: transport.bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)) };
}
