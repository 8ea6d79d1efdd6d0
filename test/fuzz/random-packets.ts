/** Random traffic: conversations with answers, errors, fragments and things that no honest host sends. */
import type { Direction } from "../../src/api/reasons.ts";
import type { Random } from "../../src/policy/testing/random.ts";
import { addressRecord, answer, cnameRecord, mixedCase, prefixed, question } from "../packets/dns.ts";
import { arp, ETHERTYPE, frame, HOST_MAC, tagged, WORKLOAD_MAC } from "../packets/ethernet.ts";
import {
  authenticationHeader,
  type Extension,
  fragmentHeader,
  fragments,
  ip,
  ipv4,
  ipv6,
  optionsHeader,
  quoted,
  routingHeader,
} from "../packets/ip.ts";
import {
  CLIENT_HELLO,
  HTTP_REQUEST,
  HTTP_RESPONSE,
  HTTP2_PREFACE,
  SERVER_HELLO,
  SSH_BANNER,
} from "../packets/payloads.ts";
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
  type Transport,
  tcp,
  udp,
} from "../packets/transport.ts";
import type { PacketStep } from "./case.ts";
import { padded } from "./mutate.ts";
import { type Asked, randomAnswer, randomAsked, randomQuestion, randomRecords } from "./random-dns.ts";
import { OWN_LINK_LOCAL, OWN4, OWN6, PATHS, PEERS4, PEERS6, PORTS, RESOLVER4, RESOLVER6, STRANGER } from "./world.ts";

/** Both ends of something that goes on. */
interface Conversation {
  own: string;
  peer: string;
  ownPort: number;
  peerPort: number;
  begunBy: Direction;
  protocol: "tcp" | "udp";
  owner: Pick<
    PacketStep,
    "process" | "creator" | "container" | "socketId" | "accepted" | "connected" | "older" | "kernel"
  >;
  /** Next sequence numbers. */
  sequence: Record<Direction, number>;
  asked: Asked[];
  /** What is left of a TCP message that was sent in pieces. */
  rest: Partial<Record<Direction, number[]>>;
}

export class Traffic {
  readonly #random: Random;
  readonly #conversations: Conversation[] = [];
  readonly #sent: { direction: Direction; packet: number[] }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next packet, or packets if they belong together. */
  next(): PacketStep[] {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 12) return this.#resolve();
    if (kind < 70) return this.#talk(random.chance(0.6) ? this.#known() : this.#begin());
    if (kind < 75) return [this.#echo()];
    if (kind < 80) return [this.#icmpError()];
    if (kind < 84) return [this.#neighbour()];
    if (kind < 88) return [this.#arp()];
    if (kind < 91) return [this.#stranger()];
    if (kind < 96) return [this.#extended()];
    return [this.#other()];
  }

  #known(): Conversation {
    return this.#conversations.length === 0 ? this.#begin() : this.#random.pick(this.#conversations);
  }

  #begin(): Conversation {
    const random = this.#random;
    const isIpv6 = random.chance(0.3);
    const begunBy = random.chance(0.75) ? "egress" : "ingress";
    const service = random.chance(0.5) ? 53 : random.pick(PORTS);
    const client = 40000 + random.below(3);
    const conversation: Conversation = {
      own: isIpv6 ? OWN6 : OWN4,
      peer: random.pick(isIpv6 ? PEERS6 : PEERS4),
      ownPort: begunBy === "egress" ? client : service,
      peerPort: begunBy === "egress" ? service : client,
      begunBy,
      protocol: random.chance(0.5) ? "tcp" : "udp",
      owner: this.#owner(),
      sequence: { egress: random.pick([1, 0xffff_fff0]), ingress: 1000 },
      asked: [],
      rest: {},
    };
    this.#conversations.push(conversation);
    if (this.#conversations.length > 6) this.#conversations.shift();
    return conversation;
  }

  /** A name is asked, answered, and its address connected to, as programs do. */
  #resolve(): PacketStep[] {
    const random = this.#random;
    const owner = random.chance(0.7) ? { process: { path: random.pick(PATHS) } } : this.#owner();
    const isIpv6 = random.chance(0.2);
    const resolver: Conversation = {
      ...this.#begin(),
      ...(isIpv6 ? { own: OWN6, peer: RESOLVER6 } : { own: OWN4, peer: RESOLVER4 }),
      ...{ ownPort: 50000 + random.below(4), peerPort: 53, begunBy: "egress", protocol: "udp", owner },
    };
    const asked = randomAsked(random);
    const address = random.pick([...PEERS4.slice(1), ...PEERS6.slice(1)]);
    const name = random.chance(0.2) ? mixedCase(asked.name) : asked.name;
    const records = random.chance(0.2)
      ? [cnameRecord("cdn.net"), addressRecord(address, { owner: "cdn.net", ttl: 0 })]
      : [addressRecord(address, { ttl: random.pick([0, 20, 5000]) }), ...randomRecords(random, name)];
    const target: Conversation = {
      ...this.#begin(),
      ...{ own: address.includes(":") ? OWN6 : OWN4, peer: address, owner: random.chance(0.8) ? owner : this.#owner() },
      begunBy: "egress",
    };
    this.#conversations.push(target);
    return [
      ...this.#packets(resolver, "egress", udp({ from: resolver.ownPort, to: 53 }, question(name, asked))),
      ...this.#packets(resolver, "ingress", udp({ from: 53, to: resolver.ownPort }, answer(name, records, asked))),
      ...this.#talk(target),
    ];
  }

  #owner(): Conversation["owner"] {
    const random = this.#random;
    if (random.chance(0.1)) return {};
    const process = () => ({
      path: random.chance(0.08) ? STRANGER : random.pick(PATHS),
      ...(random.chance(0.1) ? { modified: true } : {}),
    });
    return {
      process: process(),
      ...(random.chance(0.12) ? { creator: process() } : {}),
      ...(random.chance(0.3) ? { container: random.pick(["app", "sidecar"]) } : {}),
      ...(random.chance(0.1) ? { socketId: random.below(3) } : {}),
      ...(random.chance(0.1) ? { accepted: true } : {}),
      ...(random.chance(0.3) ? { connected: true } : {}),
      ...(random.chance(0.1) ? { older: true } : {}),
    };
  }

  /** Somebody else with the ends of a conversation: another process, nobody, or the kernel itself. */
  #intruder(): Conversation["owner"] {
    return this.#random.pick([this.#owner(), {}, { kernel: true, socketId: 7 }]);
  }

  #talk(conversation: Conversation): PacketStep[] {
    const random = this.#random;
    const direction = random.chance(0.6) ? conversation.begunBy : opposite(conversation.begunBy);
    const isDns = conversation.begunBy === "egress" ? conversation.peerPort : conversation.ownPort;
    const payload = isDns === 53 && random.chance(0.93) ? this.#dns(conversation, direction) : this.#application();
    const transport =
      conversation.protocol === "tcp"
        ? this.#tcp(conversation, direction, payload)
        : this.#udp(conversation, direction, payload);
    return this.#packets(conversation, direction, transport);
  }

  #dns(conversation: Conversation, direction: Direction): number[] {
    const random = this.#random;
    if (direction === conversation.begunBy) {
      const asked = randomAsked(random);
      conversation.asked.push(asked);
      return randomQuestion(random, asked);
    }
    const asked = random.chance(0.9) ? conversation.asked.pop() : undefined;
    return randomAnswer(random, asked ?? randomAsked(random));
  }

  #application(): number[] {
    const random = this.#random;
    const payload = random.pick([
      [],
      HTTP_REQUEST,
      HTTP_RESPONSE,
      HTTP2_PREFACE,
      CLIENT_HELLO,
      SERVER_HELLO,
      SSH_BANNER,
      randomQuestion(random, randomAsked(random)),
      prefixed(randomQuestion(random, randomAsked(random))),
    ]);
    return random.chance(0.1) ? payload.slice(0, random.below(payload.length + 1)) : payload;
  }

  #udp(conversation: Conversation, direction: Direction, payload: number[]): Transport {
    const [from, to] = this.#ports(conversation, direction);
    const length = this.#random.chance(0.04) ? { length: this.#random.below(payload.length + 12) } : {};
    return udp({ from, to, ...length }, payload);
  }

  /** With what was left over before it, cut anywhere; sometimes sent again, or out of order. */
  #tcp(conversation: Conversation, direction: Direction, message: number[]): Transport {
    const random = this.#random;
    const [from, to] = this.#ports(conversation, direction);
    const { sequence, rest } = conversation;
    if (random.chance(0.2)) {
      const flags = random.pick(["S", "SA", "A", "FA", "R"]);
      const step = flags.startsWith("S") ? 1 : 0;
      const segment = tcp({ from, to, flags, sequence: sequence[direction] }, random.chance(0.9) ? [] : message);
      sequence[direction] = (sequence[direction] + step) >>> 0;
      return segment;
    }
    const messages = random.chance(0.9) ? [message] : Array(1 + random.below(10)).fill(message);
    const stream = [...(rest[direction] ?? []), ...messages.flatMap((one: number[]) => prefixed(one))];
    const cut = random.chance(0.75) ? stream.length : random.pick([1, 2, 3, 14, random.below(stream.length + 1)]);
    const payload = stream.slice(0, cut).slice(0, 1400);
    rest[direction] = stream.slice(payload.length);
    const shift = random.chance(0.9) ? 0 : random.pick([-2, -payload.length, 1, 5]);
    const segment = tcp({ from, to, sequence: (sequence[direction] + shift) >>> 0 }, payload);
    sequence[direction] = (sequence[direction] + payload.length) >>> 0;
    return segment;
  }

  #ports({ ownPort, peerPort }: Conversation, direction: Direction): [number, number] {
    return direction === "egress" ? [ownPort, peerPort] : [peerPort, ownPort];
  }

  #packets(conversation: Conversation, direction: Direction, transport: Transport): PacketStep[] {
    const random = this.#random;
    const [from, to] = this.#ends(conversation.own, conversation.peer, direction);
    const pieces =
      random.chance(0.06) && transport.bytes.length > 8
        ? fragments({ from, to }, transport, this.#cuts(transport.bytes.length), random.below(3))
        : [ip({ from, to }, transport)];
    if (random.chance(0.1)) pieces.reverse();
    return pieces.map((packet) => {
      this.#sent.push({ direction, packet });
      const owner = random.chance(0.9) ? conversation.owner : this.#intruder();
      const facts = direction === "egress" || random.chance(0.5) ? owner : withoutProcess(owner);
      const gso = random.chance(0.02) ? { gsoSegments: random.pick([1, 2, 3]) } : {};
      return step(direction, frame(packet, this.#macs(direction)), { ...facts, ...gso });
    });
  }

  #cuts(length: number): number[] {
    const last = Math.floor((length - 1) / 8);
    const cuts = Array.from({ length: 1 + this.#random.below(2) }, () => 8 * (1 + this.#random.below(last)));
    return [...new Set(cuts)].sort((left, right) => left - right);
  }

  #ends(own: string, peer: string, direction: Direction): [string, string] {
    return direction === "egress" ? [own, peer] : [peer, own];
  }

  #macs(direction: Direction): { source: string; destination: string } {
    return direction === "egress"
      ? { source: WORKLOAD_MAC, destination: HOST_MAC }
      : { source: HOST_MAC, destination: WORKLOAD_MAC };
  }

  #direction(): Direction {
    return this.#random.chance(0.6) ? "egress" : "ingress";
  }

  #echo(): PacketStep {
    const random = this.#random;
    const direction = this.#direction();
    const isIpv6 = random.chance(0.4);
    const make = random.pick(isIpv6 ? [ping6, pong6] : [ping, pong, ping6]);
    const [from, to] = isIpv6
      ? this.#ends(OWN6, random.pick(PEERS6), direction)
      : this.#ends(OWN4, random.pick(PEERS4), direction);
    const packet = ip({ from, to }, make(random.below(2)));
    this.#sent.push({ direction, packet });
    const kernel = random.chance(0.3) ? { kernel: true } : this.#owner();
    return step(direction, frame(packet, this.#macs(direction)), kernel);
  }

  /** About a packet that was sent before, mostly one that went the other way. */
  #icmpError(): PacketStep {
    const random = this.#random;
    const about = this.#sent.length === 0 ? null : random.pick(this.#sent);
    const direction = about && random.chance(0.85) ? opposite(about.direction) : this.#direction();
    const inner = about ? quoted(about.packet, random.pick([1500, 28, 48, 27, 60])) : [];
    const isIpv6 = about ? (about.packet[0] as number) >> 4 === 6 : random.chance(0.5);
    const cross = random.chance(0.04);
    const [from, to] =
      isIpv6 !== cross
        ? this.#ends(OWN6, random.pick(PEERS6), direction)
        : this.#ends(OWN4, random.pick(PEERS4), direction);
    const error = isIpv6
      ? icmpv6({ type: random.pick([1, 2, 3, 4, 5]) }, inner)
      : icmp({ type: random.pick([3, 11, 12, 5]) }, inner);
    const owner = random.chance(0.7) ? { kernel: true } : this.#owner();
    const ends = random.chance(0.03) ? { from: random.pick(PEERS4), to } : { from, to };
    if (ends.from.includes(":") !== ends.to.includes(":")) return this.#other();
    return step(direction, frame(ip(ends, error), this.#macs(direction)), owner);
  }

  #neighbour(): PacketStep {
    const random = this.#random;
    const direction = this.#direction();
    const own = random.pick([OWN6, OWN_LINK_LOCAL, "::", OWN6]);
    const peer = random.pick([...PEERS6, "ff02::1", "ff02::1:ff00:2"]);
    const target = random.pick([OWN6, OWN_LINK_LOCAL, ...PEERS6]);
    const message = random.pick([
      neighbourSolicitation(target),
      neighbourAdvertisement(target),
      icmpv6({ type: random.pick([133, 134, 137, 143, 130]) }, Array(16).fill(0)),
    ]);
    const [from, to] = this.#ends(own, random.chance(0.9) ? peer : "2001:db8::7", direction);
    return step(direction, frame(ip({ from, to }, message), this.#macs(direction)), {});
  }

  #arp(): PacketStep {
    const random = this.#random;
    const direction = this.#direction();
    const fields = {
      operation: random.pick([1, 2]),
      sender: random.pick([OWN4, "10.0.0.1", "0.0.0.0"]),
      senderMac: random.pick([WORKLOAD_MAC, HOST_MAC]),
      target: random.pick([OWN4, "10.0.0.1", "0.0.0.0"]),
    };
    const ethernet = random.chance(0.2) ? { source: HOST_MAC } : {};
    return step(direction, arp(fields, ethernet), {});
  }

  /** From an address that is not the workload's own, or with ends as a host without an address has them. */
  #stranger(): PacketStep {
    const random = this.#random;
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
    return step("egress", frame(ip({ from, to }, transport)), random.chance(0.5) ? this.#owner() : {});
  }

  #extended(): PacketStep {
    const random = this.#random;
    const direction = this.#direction();
    const transport = random.pick([
      udp({ from: 40000, to: 80 }, HTTP_REQUEST),
      ping6(),
      tcp({ from: 40000, to: 80, flags: "S" }),
    ]);
    if (random.chance(0.3)) {
      const [from, to] = this.#ends(OWN4, random.pick(PEERS4), direction);
      const options = Array(4 * (1 + random.below(10))).fill(1);
      const odd = random.chance(0.3) ? { headerWords: random.below(16) } : {};
      return step(direction, frame(ipv4({ from, to, options, ...odd }, transport)), this.#owner());
    }
    const [from, to] = this.#ends(OWN6, random.pick(PEERS6), direction);
    const extensions = Array.from({ length: random.below(11) }, () => this.#extension());
    return step(direction, frame(ipv6({ from, to, extensions }, transport)), this.#owner());
  }

  #extension(): Extension {
    const random = this.#random;
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

  #other(): PacketStep {
    const random = this.#random;
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
    return step(this.#direction(), made, random.chance(0.5) ? this.#owner() : {});
  }
}

function withoutProcess({
  process: _process,
  creator: _creator,
  ...rest
}: Conversation["owner"]): Conversation["owner"] {
  return rest;
}

function step(
  direction: Direction,
  bytes: Buffer,
  facts: Omit<PacketStep, "kind" | "direction" | "frame">,
): PacketStep {
  return { kind: "packet", direction, frame: padded(bytes).toString("hex"), ...facts };
}

function opposite(direction: Direction): Direction {
  return direction === "egress" ? "ingress" : "egress";
}
