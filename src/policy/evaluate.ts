/**
 * The reference evaluator: the contract, packet by packet, as plain code. It shares nothing with the BPF programs but
 * the rule tables; fuzzing sends the same frames through both, and any difference is a defect of one of them.
 */
import type { Direction, Reason, Verdict } from "../api/reasons.ts";
import type { Action } from "../api/types.ts";
import { type Application, recognizeApplication } from "./applications.ts";
import { arpAttack, ipAttack, isOwnArp, isOwnNeighbourDiscovery } from "./evaluate-attacks.ts";
import { judgeDns } from "./evaluate-dns.ts";
import {
  beginsConnection,
  flowKeyOf,
  initiatorOf,
  isDnsFlow,
  relatedTuple,
  servicePort,
  type Tuple,
  tupleOf,
} from "./flows.ts";
import { originsOf } from "./lookup.ts";
import type { ArpPacket, IpPacket, Packet } from "./packet.ts";
import { PROTOCOL_NUMBERS } from "./ports.ts";
import { judgeApplication, judgeLayers, looksAtPayload, rightsOf, toldReason } from "./rights.ts";
import type { Flow, Rights, Subject, WorkloadState } from "./state.ts";
import type { BlockOrigin, RuleTable } from "./tables.ts";

/** What is known about a packet beside its bytes. */
export interface PacketContext {
  direction: Direction;
  /** Whose rights apply: the user of the socket, and its creator if that is somebody else; none: no process. */
  subjects: Subject[];
  /** The socket was accepted from a listener: the remote side began. */
  accepted?: boolean;
}

export interface Judgement {
  verdict: Verdict;
  reason: Reason;
  /** Of the flow that the packet belongs to: who began. */
  direction: Direction;
  /** The blocks that allowed it; for a violation those that could have, or none if no block was asked. */
  origins: BlockOrigin[];
}

/** One packet, with everything that its judgement depends on. */
interface Case {
  state: WorkloadState;
  table: RuleTable;
  context: PacketContext;
  time: number;
}

interface Finding {
  reason: Reason;
  direction?: Direction;
  rights?: Rights[];
}

/**
 * Judges a packet and brings the state up to date.
 * @param table the workload's, in force now; not looked at while it is pending or unrestricted.
 * @param time seconds on a clock that only goes forward.
 */
export function evaluate(
  state: WorkloadState,
  table: RuleTable,
  packet: Packet,
  context: PacketContext,
  time: number,
): Judgement {
  const finding = judge({ state, table, context, time }, packet);
  return {
    verdict: verdictOf(finding.reason, table.actions),
    reason: finding.reason,
    direction: finding.direction ?? context.direction,
    origins: finding.rights ? originsOfRights(finding.rights, finding.reason) : [],
  };
}

/** What a reason comes to under the actions of a table. Pending drops whatever the actions are. */
export function verdictOf(reason: Reason, actions: Action[]): Verdict {
  if (reason === "Allowed") return "allowed";
  if (reason === "Pending" || actions.includes("enforce")) return "dropped";
  return actions.includes("alert") ? "alerted" : "counted";
}

/** `learn` without `alert` or `enforce` records and judges nothing. */
export function onlyLearns(actions: Action[]): boolean {
  return actions.includes("learn") && !actions.includes("alert") && !actions.includes("enforce");
}

function judge(item: Case, packet: Packet): Finding {
  const { state, table, context } = item;
  if (state.standing === "unrestricted") return { reason: "Allowed" };
  if (state.standing === "pending") return { reason: "Pending" };
  if (onlyLearns(table.actions)) return { reason: "Allowed" };
  switch (packet.kind) {
    case "bad":
      return { reason: packet.reason };
    case "other":
      return { reason: "Ethertype" };
    case "arp":
      return { reason: judgeArp(state, table, packet, context.direction) };
    case "ip":
      return judgeIp(item, packet);
  }
}

/** ARP belongs to no process: the EtherType mask of `default` is all that counts. */
function judgeArp(state: WorkloadState, table: RuleTable, packet: ArpPacket, direction: Direction): Reason {
  const attack = arpAttack(table.attacks, state, packet, direction);
  if (attack !== null) return attack;
  const allowed = table.default ? table.default[direction].ethertype.arp !== 0n : isOwnArp(state, packet, direction);
  return allowed ? "Allowed" : "Ethertype";
}

function judgeIp(item: Case, packet: IpPacket): Finding {
  const { state, table, context } = item;
  const attack = ipAttack(table.attacks, state, packet, context.direction);
  if (attack !== null) return { reason: attack };
  if (packet.fragment?.part === "later") return judgeLaterFragment(item, packet);
  const finding = judgeWhole(item, packet);
  if (packet.fragment !== null) {
    state.fragments.set(fragmentKey(packet, context.direction), { tableHash: table.hash, reason: finding.reason });
  }
  return finding;
}

/** Later fragments share the verdict of their datagram's first; one whose first was never seen cannot be judged. */
function judgeLaterFragment({ state, table, context }: Case, packet: IpPacket): Finding {
  const first = state.fragments.get(fragmentKey(packet, context.direction));
  return { reason: first !== undefined && first.tableHash === table.hash ? first.reason : "Fragment" };
}

function fragmentKey(packet: IpPacket, direction: Direction): string {
  return `${direction} ${packet.source} ${packet.destination} ${packet.protocol} ${packet.fragment?.identification}`;
}

function judgeWhole(item: Case, packet: IpPacket): Finding {
  const { state, table, context } = item;
  const related = relatedTuple(packet, context.direction);
  const about = related && knownFlow(item, related);
  if (about?.reason === "Allowed" && about.tableHash === table.hash) return { reason: "Allowed", rights: about.rights };
  const tuple = tupleOf(packet, context.direction);
  const key = flowKeyOf(tuple);
  const known = beginsConnection(packet) ? null : knownFlow(item, tuple);
  const flow = known !== null && isInForce(item, known) ? known : judgeFlow(item, packet, tuple, known);
  flow.lastSeen = item.time;
  state.flows.set(key, flow);
  if (flow.reason !== "Allowed") return { reason: flow.reason, direction: flow.direction, rights: flow.rights };
  const reason = judgePayload(item, packet, tuple, flow);
  return { reason, direction: flow.direction, rights: flow.rights };
}

/** The flow of a tuple, unless it has been idle for so long that what comes now is a new one. */
function knownFlow({ state, time }: Case, tuple: Tuple): Flow | null {
  const flow = state.flows.get(flowKeyOf(tuple));
  if (flow === undefined) return null;
  const expires = tuple.protocol !== PROTOCOL_NUMBERS.tcp && time - flow.lastSeen > state.settings.udpIdle;
  return expires ? null : flow;
}

/** An allowed flow keeps its verdict until the table changes or a process executes something else. */
function isInForce({ state, table }: Case, flow: Flow): boolean {
  return flow.reason === "Allowed" && flow.tableHash === table.hash && flow.epoch === state.epoch;
}

/** Judges layers 1 to 3 of a new flow, or anew of one whose verdict is not in force. */
function judgeFlow(item: Case, packet: IpPacket, tuple: Tuple, known: Flow | null): Flow {
  const { state, table, context, time } = item;
  // A flow that was allowed keeps its direction; a violation never was a flow, and nothing can be a reply to it.
  const kept = known?.reason === "Allowed" ? known : null;
  const direction = kept?.direction ?? initiatorOf(packet, context.direction, context.accepted ?? false);
  const subjects = context.subjects.length > 0 ? context.subjects : [null];
  const destination = {
    family: packet.family,
    remote: tuple.remote,
    protocol: tuple.protocol,
    port: servicePort(tuple, direction),
  };
  const rights = subjects.map((subject) => rightsOf(table, subject, direction));
  const isOwnDiscovery = isOwnNeighbourDiscovery(state, packet, context.direction);
  const reasons = rights.map((right) => {
    if (table.default === null && right.binaryId === 0 && isOwnDiscovery) return "Allowed";
    return toldReason(table, right, judgeLayers(state, right, destination, time, direction));
  });
  return {
    direction,
    rights,
    tableHash: table.hash,
    epoch: state.epoch,
    reason: reasons.find((reason) => reason !== "Allowed") ?? "Allowed",
    application: kept?.application ?? "undecided",
    lastSeen: time,
    dnsNext: kept?.dnsNext ?? { egress: null, ingress: null },
    dnsLength: kept?.dnsLength ?? { egress: 0, ingress: 0 },
  };
}

/** Layers 4 and 5, for a packet of a flow that the others allow. */
function judgePayload(item: Case, packet: IpPacket, tuple: Tuple, flow: Flow): Reason {
  const { state, table, context, time } = item;
  const isDns = isDnsFlow(tuple, flow.direction, state.settings);
  const reason = judgeApplicationOf(table, packet, flow, isDns);
  if (reason !== "Allowed") {
    flow.reason = reason;
    return reason;
  }
  if (!isDns || (packet.tcp !== null && packet.payload.length === 0)) return "Allowed";
  const { attacks } = table;
  const dnsReason = judgeDns(state, {
    packet,
    direction: context.direction,
    flow,
    flowKey: flowKeyOf(tuple),
    attacks,
    time,
  });
  return firstTold(table, flow, dnsReason);
}

function judgeApplicationOf(table: RuleTable, packet: IpPacket, flow: Flow, isDns: boolean): Reason {
  if (!carriesApplication(packet.protocol) || packet.payload.length === 0) return "Allowed";
  if (flow.application === "undecided") {
    // A DNS client may send the length prefix by itself.
    if (isDns && packet.tcp !== null && packet.payload.length === 2) return "Allowed";
    const transport = packet.tcp === null ? "other" : "tcp";
    flow.application = recognizeApplication(packet.payload, transport) ?? "none";
  }
  const application: Application | null = flow.application === "none" ? null : flow.application;
  for (const rights of flow.rights.filter(looksAtPayload)) {
    const reason = toldReason(table, rights, judgeApplication(rights, application));
    if (reason !== "Allowed") return reason;
  }
  return "Allowed";
}

/** Control messages have no application in them; everything else may. */
function carriesApplication(protocol: number): boolean {
  const control: number[] = [PROTOCOL_NUMBERS.icmp, PROTOCOL_NUMBERS.icmpv6, PROTOCOL_NUMBERS.igmp];
  return !control.includes(protocol);
}

function firstTold(table: RuleTable, flow: Flow, reason: Reason): Reason {
  const first = flow.rights[0];
  return first === undefined || reason !== "DnsName" ? reason : toldReason(table, first, reason);
}

function originsOfRights(rights: Rights[], reason: Reason): BlockOrigin[] {
  return rights.flatMap(({ ruleset, mask }) =>
    reason === "Allowed" ? originsOf(ruleset, mask) : originsOf(ruleset, (1n << BigInt(ruleset.blocks.length)) - 1n),
  );
}
