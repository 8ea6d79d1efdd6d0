/** Random traffic: conversations, with answers, segments, fragments and intruders; and what stands outside of them. */
import type { Direction } from "../../../src/api/reasons.ts";
import type { Random } from "../../../src/policy/testing/random.ts";
import { addressRecord, answer, cnameRecord, mixedCase, prefixed, question } from "../../packets/dns.ts";
import { frame } from "../../packets/ethernet.ts";
import { fragments, type IpEnds, ip } from "../../packets/ip.ts";
import {
  CLIENT_HELLO,
  HTTP_REQUEST,
  HTTP_RESPONSE,
  HTTP2_PREFACE,
  PROXY_HEADER,
  PROXY_LINE,
  SERVER_HELLO,
  SSH_BANNER,
} from "../../packets/payloads.ts";
import { type Transport, tcp, udp } from "../../packets/transport.ts";
import type { PacketStep, Step } from "../case.ts";
import { GROUPS4, GROUPS6, OWN4, OWN6, PATHS, PEERS4, PEERS6, PORTS, RESOLVER4, RESOLVER6 } from "../world.ts";
import { type Asked, randomAnswer, randomAsked, randomQuestion, randomRecords } from "./random-dns.ts";
import { randomExchange } from "./random-echo.ts";
import { randomOddity } from "./random-oddities.ts";
import { endsOf, macsOf, type Owner, opposite, packetStep, randomOwner, type Sent } from "./random-steps.ts";

/** A packet of a test run has to fit into a page, beside what the kernel puts there. */
const TEST_RUN_PAYLOAD_MAX = 3000;

/** Both ends of something that goes on. */
interface Conversation {
  own: string;
  peer: string;
  ownPort: number;
  peerPort: number;
  begunBy: Direction;
  protocol: "tcp" | "udp";
  owner: Owner;
  /** Next sequence numbers. */
  sequence: Record<Direction, number>;
  asked: Asked[];
  /** What is left of a TCP message that was sent in pieces. */
  rest: Partial<Record<Direction, number[]>>;
}

export class Traffic {
  readonly #random: Random;
  readonly #conversations: Conversation[] = [];
  readonly #sent: Sent[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** The next packet, or packets if they belong together. */
  next(): Step[] {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 12) return this.#resolve();
    if (kind < 70) return this.#talk(random.chance(0.6) ? this.#known() : this.#begin());
    if (kind < 73) return randomExchange(random);
    return [randomOddity(random, this.#sent)];
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
    const own = isIpv6 ? OWN6 : OWN4;
    const conversation: Conversation = {
      own: random.chance(0.06) ? random.pick(isIpv6 ? GROUPS6 : GROUPS4) : own,
      peer: random.pick(isIpv6 ? PEERS6 : PEERS4),
      ownPort: begunBy === "egress" ? client : service,
      peerPort: begunBy === "egress" ? service : client,
      begunBy,
      protocol: random.chance(0.5) ? "tcp" : "udp",
      owner: randomOwner(random),
      sequence: { egress: random.pick([1, 0xffff_fff0]), ingress: 1000 },
      asked: [],
      rest: {},
    };
    this.#conversations.push(conversation);
    if (this.#conversations.length > 6) this.#conversations.shift();
    return conversation;
  }

  /** A name is asked, answered, and its address connected to, as programs do. */
  #resolve(): Step[] {
    const random = this.#random;
    const owner = random.chance(0.7) ? { process: { path: random.pick(PATHS) } } : randomOwner(random);
    const isIpv6 = random.chance(0.2);
    const resolver: Conversation = {
      ...this.#begin(),
      ...(isIpv6 ? { own: OWN6, peer: RESOLVER6 } : { own: OWN4, peer: RESOLVER4 }),
      ...{ ownPort: 50000 + random.below(4), peerPort: 53, begunBy: "egress", owner },
    };
    const asked = randomAsked(random);
    const address = random.pick([...PEERS4.slice(1), ...PEERS6.slice(1)]);
    const name = random.chance(0.2) ? mixedCase(asked.name) : asked.name;
    const records = random.chance(0.2)
      ? [cnameRecord("cdn.net"), addressRecord(address, { owner: "cdn.net", ttl: 0 })]
      : [addressRecord(address, { ttl: random.pick([0, 20, 5000]) }), ...randomRecords(random, name)];
    const target: Conversation = {
      ...this.#begin(),
      ...{
        own: address.includes(":") ? OWN6 : OWN4,
        peer: address,
        owner: random.chance(0.8) ? owner : randomOwner(random),
      },
      begunBy: "egress",
    };
    this.#conversations.push(target);
    const asking = question(name, asked);
    const answering = answer(name, records, asked).slice(0, TEST_RUN_PAYLOAD_MAX);
    const late: Step[] = random.chance(0.1) ? [{ kind: "advance", seconds: random.pick([29.5, 31.5]) }] : [];
    const exchange =
      resolver.protocol === "udp"
        ? [
            ...this.#packets(resolver, "egress", udp({ from: resolver.ownPort, to: 53 }, asking)),
            ...late,
            ...this.#packets(resolver, "ingress", udp({ from: 53, to: resolver.ownPort }, answering)),
          ]
        : this.#resolveByTcp(resolver, prefixed(asking), prefixed(answering), late);
    return [...exchange, ...this.#talk(target)];
  }

  /** Over a connection of its own; the answer may come in pieces. */
  #resolveByTcp(resolver: Conversation, asking: number[], answering: number[], late: Step[]): Step[] {
    const random = this.#random;
    const { ownPort, sequence } = resolver;
    const out = (fields: { flags?: string; sequence: number }, bytes: number[] = []) =>
      this.#packets(resolver, "egress", tcp({ from: ownPort, to: 53, ...fields }, bytes));
    const cuts = random.list(2, () => random.below(answering.length)).sort((left, right) => left - right);
    const inOrder = [0, ...cuts].map((from, index) => ({ from, bytes: answering.slice(from, cuts[index]) }));
    const pieces = random.chance(0.7) ? inOrder : inOrder.reverse();
    return [
      ...out({ flags: "S", sequence: sequence.egress }),
      ...out({ sequence: (sequence.egress + 1) >>> 0 }, asking),
      ...late,
      ...pieces.flatMap(({ from, bytes }) =>
        this.#packets(resolver, "ingress", tcp({ from: 53, to: ownPort, sequence: sequence.ingress + from }, bytes)),
      ),
    ];
  }

  /** Somebody else with the ends of a conversation: another process, nobody, or the kernel itself. */
  #intruder(): Owner {
    return this.#random.pick([
      randomOwner(this.#random),
      {},
      { kernel: true, socketId: 7 },
      { socketless: true, socketId: 8 },
    ]);
  }

  #talk(conversation: Conversation): PacketStep[] {
    const random = this.#random;
    const direction = random.chance(0.6) ? conversation.begunBy : opposite(conversation.begunBy);
    const isDns = conversation.begunBy === "egress" ? conversation.peerPort : conversation.ownPort;
    const message = isDns === 53 && random.chance(0.93) ? this.#dns(conversation, direction) : null;
    const payload = message ?? this.#application();
    const transport =
      conversation.protocol === "tcp"
        ? this.#tcp(conversation, direction, message ? prefixed(message) : payload)
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
    const asked = random.chance(0.9) ? this.#answered(conversation) : undefined;
    return randomAnswer(random, asked ?? randomAsked(random));
  }

  /** The question that is answered: the last one, now and then one that has been answered before. */
  #answered({ asked }: Conversation): Asked | undefined {
    return this.#random.chance(0.2) ? asked.at(-1) : asked.pop();
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
      PROXY_LINE,
      [...PROXY_HEADER, ...HTTP_REQUEST],
      [...PROXY_LINE, ...random.pick([CLIENT_HELLO, [13, 10], SSH_BANNER])],
      [13, 10, ...random.pick([[], [13, 10], HTTP_REQUEST, CLIENT_HELLO])],
      [
        ...Buffer.from(
          `${random.pick(["PROPFIND", "M-SEARCH", "get", "A(B"])} ${random.pick(["/", "*", "x", ""])} HTTP/1.1`,
        ),
      ],
      randomQuestion(random, randomAsked(random)),
      prefixed(randomQuestion(random, randomAsked(random))),
    ]);
    return random.chance(0.1) ? payload.slice(0, random.below(payload.length + 1)) : payload;
  }

  #udp(conversation: Conversation, direction: Direction, message: number[]): Transport {
    const [from, to] = this.#ports(conversation, direction);
    const payload = message.slice(0, TEST_RUN_PAYLOAD_MAX);
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
      const segment = tcp(
        { from, to, flags, sequence: sequence[direction] },
        random.chance(0.9) ? [] : message.slice(0, 1400),
      );
      sequence[direction] = (sequence[direction] + step) >>> 0;
      return segment;
    }
    const messages = random.chance(0.9)
      ? [message]
      : Array(1 + random.below(random.chance(0.1) ? 80 : 10)).fill(message);
    const stream = [...(rest[direction] ?? []), ...messages.flat()];
    const cut = random.chance(0.75) ? stream.length : random.pick([1, 2, 3, 14, random.below(stream.length + 1)]);
    const payload = stream.slice(0, cut).slice(0, 1400);
    rest[direction] = stream.slice(payload.length);
    const shift = random.chance(0.85) ? 0 : random.pick([-2, -payload.length, 1, 5, payload.length, 66_000]);
    const segment = tcp({ from, to, sequence: (sequence[direction] + shift) >>> 0 }, payload);
    // One that overtakes is followed by what belongs before it.
    if (shift <= 5) sequence[direction] = (sequence[direction] + payload.length) >>> 0;
    return segment;
  }

  #ports({ ownPort, peerPort }: Conversation, direction: Direction): [number, number] {
    return direction === "egress" ? [ownPort, peerPort] : [peerPort, ownPort];
  }

  #packets(conversation: Conversation, direction: Direction, transport: Transport): PacketStep[] {
    const random = this.#random;
    const [from, to] = endsOf(conversation.own, conversation.peer, direction);
    const pieces =
      random.chance(0.06) && transport.bytes.length > 8
        ? this.#fragments({ from, to }, transport)
        : [ip({ from, to }, transport)];
    if (random.chance(0.1)) pieces.reverse();
    return pieces.map((packet) => {
      this.#sent.push({ direction, packet });
      const owner = random.chance(0.9) ? conversation.owner : this.#intruder();
      const facts = direction === "egress" || random.chance(0.5) ? owner : withoutProcess(owner);
      const gso = random.chance(0.02) ? randomOffload(random) : {};
      return packetStep(direction, frame(packet, macsOf(direction, random.chance(0.2))), { ...facts, ...gso });
    });
  }

  /** Sometimes with one that reaches into the one before it. */
  #fragments(ends: IpEnds, transport: Transport): number[][] {
    const cuts = this.#cuts(transport.bytes.length);
    const identification = this.#random.below(3);
    const pieces = fragments(ends, transport, cuts, identification);
    const earlier = (cuts[0] as number) - 8;
    if (earlier < 8 || !this.#random.chance(0.3)) return pieces;
    return [...pieces, ...fragments(ends, transport, [earlier], identification).slice(1)];
  }

  #cuts(length: number): number[] {
    const last = Math.floor((length - 1) / 8);
    const cuts = Array.from({ length: 1 + this.#random.below(2) }, () => 8 * (1 + this.#random.below(last)));
    return [...new Set(cuts)].sort((left, right) => left - right);
  }
}

function withoutProcess({ process: _process, creator: _creator, ...rest }: Owner): Owner {
  return rest;
}

function randomOffload(random: Random): { gsoSegments: number; gsoSize?: number } {
  const gsoSegments = random.pick([1, 2, 3]);
  return random.chance(0.7) ? { gsoSegments, gsoSize: random.pick([20, 29, 33, 45, 500]) } : { gsoSegments };
}
