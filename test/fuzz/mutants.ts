/** Evaluators with one fault each. Fuzzing that does not find all of them would not find such a fault in the kernel either. */

import type { Packet } from "../../src/policy/packet/packet.ts";
import { evaluate, type PacketContext } from "../../src/policy/reference/evaluate.ts";
import { isIcmpError, quotedEnds, type SocketFacts } from "../../src/policy/reference/flows.ts";
import { isNeighbourDiscovery } from "../../src/policy/reference/link-control.ts";
import type { EvaluatorState, Flow } from "../../src/policy/reference/state.ts";
import { type Ancestry, NO_ANCESTRY } from "../../src/policy/table/subject.ts";
import type { NameRule, PortRule, Ruleset, RuleTable } from "../../src/policy/table/tables.ts";
import type { Evaluate } from "./compare/compare.ts";

/** The table with every rule set changed. */
function withRulesets(table: RuleTable, change: (ruleset: Ruleset) => Ruleset): RuleTable {
  const pair = <T extends { egress: Ruleset; ingress: Ruleset }>(rules: T): T => ({
    ...rules,
    egress: change(rules.egress),
    ingress: change(rules.ingress),
  });
  return { ...table, default: table.default && pair(table.default), binaries: table.binaries.map(pair) };
}

/** Tables are changed once, so that the rules parsed for one stay with it. */
function ofTable(change: (ruleset: Ruleset) => Ruleset): Evaluate {
  const changed = new WeakMap<RuleTable, RuleTable>();
  return (state, table, packet, context, time) => {
    const other = changed.get(table) ?? withRulesets(table, change);
    changed.set(table, other);
    return evaluate(state, other, packet, context, time);
  };
}

function unchanged(ancestry: Ancestry | null): Ancestry | null {
  if (ancestry === null) return null;
  return { ...ancestry, executables: ancestry.executables.map(({ path }) => ({ path, modified: false })) };
}

function ofPacket(change: (packet: Packet) => Packet): Evaluate {
  return (state, table, packet, context, time) => evaluate(state, table, change(packet), context, time);
}

function ofSocket(change: (socket: SocketFacts) => SocketFacts): Evaluate {
  return (state, table, packet, context, time) =>
    evaluate(state, table, packet, { ...context, socket: change(context.socket ?? {}) }, time);
}

/** An ICMP error goes to whom the packet that it quotes came from. */
function toQuotedSender(packet: Packet): Packet {
  if (packet.kind !== "ip" || !isIcmpError(packet)) return packet;
  return { ...packet, destination: quotedEnds(packet)?.source ?? packet.destination };
}

/** As if the workload's kernel had sent it. */
function asKernel(context: PacketContext): PacketContext {
  return { ...context, subjects: [], socket: { ...context.socket, kernel: true } };
}

/** Of a later fragment's datagram, whoever sent the first one. */
function senderOfFirst({ fragments }: EvaluatorState, packet: Packet): string | undefined {
  if (packet.kind !== "ip" || packet.fragment?.part !== "later") return undefined;
  const datagram = ` ${packet.source} ${packet.destination} ${packet.protocol} ${packet.fragment.identification}`;
  const key = [...fragments.keys()].find((known) => known.startsWith("egress ") && known.endsWith(datagram));
  return key?.slice("egress ".length, -datagram.length);
}

const narrower = (rule: PortRule): PortRule => (rule.portPrefix === 16 ? { ...rule, portPrefix: 15 } : rule);
const flipped = (rule: NameRule): NameRule => ({
  ...rule,
  exactAsk: rule.belowAsk,
  exactConnect: rule.belowConnect,
  belowAsk: rule.exactAsk,
  belowConnect: rule.exactConnect,
});

const flowsBefore = new WeakMap<EvaluatorState["flows"], [string, Flow][]>();

function rememberFlows({ flows }: EvaluatorState): void {
  if (flows.size === 0) for (const [key, flow] of flowsBefore.get(flows) ?? []) flows.set(key, flow);
}

/** By what is wrong. */
export const MUTANTS: Record<string, Evaluate> = {
  "a comparison of ports ignores the last bit": ofTable((rules) => ({ ...rules, ports: rules.ports.map(narrower) })),
  "exact names and wildcards are exchanged": ofTable((rules) => ({ ...rules, names: rules.names.map(flipped) })),
  "learned names open nothing": ofTable((rules) => ({ ...rules, fqdn: 0n })),
  "any name may be asked": ofTable((rules) => ({ ...rules, askAny: ~0n })),
  "every application is accepted": ofTable((rules) => ({ ...rules, anyApplication: ~0n })),
  "binary: Any has no effect": ofTable((rules) => ({ ...rules, anyBinary: 0n })),
  "the shortest prefix wins": ofTable((rules) => ({
    ...rules,
    peers4: rules.peers4.filter((rule) => rule.prefixLength < 32),
  })),
  "time stands still": (state, table, packet, context) => evaluate(state, table, packet, context, 1e6),
  "an exec changes nothing": (state, ...rest) => {
    state.epoch = 0;
    return evaluate(state, ...rest);
  },
  "questions are forgotten": (state, ...rest) => {
    state.queries.clear();
    return evaluate(state, ...rest);
  },
  "fragments are forgotten": (state, ...rest) => {
    state.fragments.clear();
    return evaluate(state, ...rest);
  },
  "flows are forgotten": (state, ...rest) => {
    state.flows.clear();
    return evaluate(state, ...rest);
  },
  "flows that were pushed out are remembered": (state, ...rest) => {
    rememberFlows(state);
    const outcome = evaluate(state, ...rest);
    flowsBefore.set(state.flows, [...state.flows]);
    return outcome;
  },
  "the creator of a socket is not asked": (state, table, packet, context, time) =>
    evaluate(state, table, packet, { ...context, subjects: context.subjects.slice(0, 1) }, time),
  "the former user of a socket is not asked": (
    state,
    table,
    packet,
    { socket: { former: _former, ...socket } = {}, ...context },
    time,
  ) => evaluate(state, table, packet, { ...context, socket }, time),
  "broadcasts of the link are taken for datagrams to the workload": ofPacket((packet) =>
    packet.kind === "ip" ? { ...packet, toLinkGroup: false } : packet,
  ),
  "changed binaries are not distinguished": (state, table, packet, context, time) => {
    const subjects = context.subjects.map((subject) => ({ ...subject, modified: false }));
    return evaluate(state, table, packet, { ...context, subjects }, time);
  },
  "what led to a process is not asked": (state, table, packet, context, time) => {
    const subjects = context.subjects.map((subject) => ({ ...subject, ancestry: NO_ANCESTRY }));
    return evaluate(state, table, packet, { ...context, subjects }, time);
  },
  "changed ancestors are not distinguished": (state, table, packet, context, time) => {
    const subjects = context.subjects.map((subject) => ({ ...subject, ancestry: unchanged(subject.ancestry) }));
    return evaluate(state, table, packet, { ...context, subjects }, time);
  },
  "users are not distinguished": (state, table, packet, context, time) => {
    const subjects = context.subjects.map((subject) => ({ ...subject, user: 0 }));
    return evaluate(state, table, packet, { ...context, subjects }, time);
  },
  "containers are not distinguished": (state, table, packet, context, time) => {
    const subjects = context.subjects.map((subject) => ({ ...subject, container: null }));
    return evaluate(state, table, packet, { ...context, subjects }, time);
  },
  "ephemeral containers are not distinguished": (state, table, packet, context, time) => {
    const subjects = context.subjects.map((subject) => ({ ...subject, ephemeral: false }));
    return evaluate(state, table, packet, { ...context, subjects }, time);
  },
  "attacks are ignored": (state, table, packet, context, time) =>
    evaluate(state, { ...table, attacks: [] }, packet, context, time),
  "the last byte of the payload is lost": ofPacket((packet) =>
    packet.kind === "ip" ? { ...packet, payload: packet.payload.subarray(0, -1) } : packet,
  ),
  "sequence numbers are one too high": ofPacket((packet) =>
    packet.kind === "ip" && packet.tcp
      ? { ...packet, tcp: { ...packet.tcp, sequence: packet.tcp.sequence + 1 } }
      : packet,
  ),
  "ICMP errors have no flow": ofPacket((packet) =>
    packet.kind === "ip" && packet.icmp ? { ...packet, payload: new Uint8Array(0) } : packet,
  ),
  "what leaves without a socket is taken for the kernel's": ofSocket((socket) => ({
    ...socket,
    kernel: socket.kernel || (socket.none ?? false),
  })),
  "the kernel's replies may hold anything": ofPacket((packet) =>
    packet.kind === "ip" && packet.icmp && !isIcmpError(packet) ? { ...packet, payload: new Uint8Array(12) } : packet,
  ),
  "the kernel may copy options": ofPacket((packet) =>
    packet.kind === "ip" ? { ...packet, hasOptions: false } : packet,
  ),
  "requests may be replied to at any time": (state, ...rest) => {
    for (const repeated of state.requests.keys()) state.requests.set(repeated, 1e12);
    return evaluate(state, ...rest);
  },
  "requests are forgotten": (state, ...rest) => {
    state.requests.clear();
    return evaluate(state, ...rest);
  },
  "the kernel's sockets are not known": ofSocket(({ kernel: _, ...socket }) => socket),
  "anybody may send ICMP errors": (state, table, packet, context, time) =>
    evaluate(state, table, packet, packet.kind === "ip" && isIcmpError(packet) ? asKernel(context) : context, time),
  "anybody may say what neighbours say": (state, table, packet, context, time) => {
    const isSaid = packet.kind === "arp" || (packet.kind === "ip" && isNeighbourDiscovery(packet));
    return evaluate(state, table, packet, isSaid ? asKernel(context) : context, time);
  },
  "a socket without an owner is taken for the kernel's": (state, table, packet, context, time) =>
    evaluate(state, table, packet, context.subjects.length === 0 ? asKernel(context) : context, time),
  "a flow in its middle has its first payload still to come": ofSocket(({ spoken: _, ...socket }) => socket),
  "ICMP errors are as long as they like": ofPacket((packet) =>
    packet.kind === "ip" ? { ...packet, length: 0 } : packet,
  ),
  "ICMP errors go to anybody": (state, table, packet, context, time) =>
    evaluate(state, table, toQuotedSender(packet), context, time),
  "connections have no end": (state, ...rest) => {
    for (const flow of state.flows.values()) flow.ended = { egress: false, ingress: false };
    return evaluate(state, ...rest);
  },
  "neighbours may be behind a router": ofPacket((packet) =>
    packet.kind === "ip" && packet.hopLimit === 64 ? { ...packet, hopLimit: 255 } : packet,
  ),
  "ARP may be as long as it likes": ofPacket((packet) =>
    packet.kind === "arp" ? { ...packet, padding: new Uint8Array(0) } : packet,
  ),
  "fragments are anybody's": (state, table, packet, context, time) => {
    const id = senderOfFirst(state, packet);
    const socket = id === undefined ? context.socket : { ...context.socket, id };
    return evaluate(state, table, packet, { ...context, ...(socket && { socket }) }, time);
  },
  "fragments may reach into the first one": ofPacket((packet) =>
    packet.kind === "ip" && packet.fragment?.part === "later"
      ? { ...packet, fragment: { ...packet.fragment, start: 65_535 } }
      : packet,
  ),
  "segmentation offload is not seen": ofPacket((packet) =>
    packet.kind === "ip" ? { ...packet, segments: 1 } : packet,
  ),
  "records may be carried wherever a name may be asked": ofTable((rules) => ({ ...rules, askRecords: ~0n })),
  "questions stay outstanding": (state, ...rest) => {
    for (const query of state.queries.values()) query.asked = 1e12;
    return evaluate(state, ...rest);
  },
  "segments that come ahead are forgotten": (state, ...rest) => {
    for (const { dnsStream } of state.flows.values()) {
      for (const position of Object.values(dnsStream)) if (position !== null) position.ahead = null;
    }
    return evaluate(state, ...rest);
  },
  "answers in pieces are forgotten": (state, ...rest) => {
    for (const { dnsStream } of state.flows.values()) {
      for (const position of Object.values(dnsStream)) if (position !== null) position.held = new Uint8Array();
    }
    return evaluate(state, ...rest);
  },
};
