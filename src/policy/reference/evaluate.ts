/**
 * The reference evaluator: the rules, packet by packet, as plain code. It shares nothing with the BPF programs but
 * the rule tables; fuzzing sends the same frames through both, and any difference is a defect of one of them.
 */

import type { Direction, Reason, Verdict } from "../../api/reasons.ts";
import { type Action, effectOf } from "../../api/types.ts";
import type { ArpPacket, IpPacket, Packet } from "../packet/packet.ts";
import { allBlocks, originsOf } from "../table/lookup.ts";
import type { Subject } from "../table/subject.ts";
import type { BlockOrigin, RuleTable } from "../table/tables.ts";
import { arpAttack, ipAttack } from "./evaluate-attacks.ts";
import { type Case, flowStateOf, isAlive, judgeAfresh, judgePayload, noteEnd, socketOf } from "./evaluate-flow.ts";
import { flowKeyOf, isForGroup, isIcmpError, isStateful, quotedEnds, type SocketFacts, tupleOf } from "./flows.ts";
import { answersNobody, rememberRequest } from "./kernel-answer.ts";
import { isArpSound, isLinkArp } from "./link-control.ts";
import { isFromKernel } from "./provenance.ts";
import type { EvaluatorState, Flow, Rights } from "./state.ts";

/** What is known about a packet beside its bytes. */
export interface PacketContext {
  direction: Direction;
  /** The subjects that are judged: the user of the socket, and its creator if that is somebody else; none: no process. */
  subjects: Subject[];
  socket?: SocketFacts;
}

export interface Judgement {
  verdict: Verdict;
  reason: Reason;
  /** Who began the flow that the packet belongs to. */
  direction: Direction;
  /** The blocks that allowed it; for a violation those that might have, none where no block was asked. */
  origins: BlockOrigin[];
}

/** Seconds for which a kernel's reassembly waits for the rest of a datagram, at most: RFC 8200, 4.5. */
const FRAGMENT_LIFETIME = 60;

/** Bytes of an ICMP error at most: RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c). */
const ICMP_ERROR_MAX = { ipv4: 576, ipv6: 1280 } as const;
/** Of the IP headers that an error quotes outward: all options of IPv4, or 20 bytes of IPv6's extension headers. */
const QUOTED_HEADERS_MAX = 60;

interface Finding {
  reason: Reason;
  flow?: Flow;
  /** Of a first fragment: the later ones are without it. */
  isForgotten?: true;
}

/**
 * Judges a packet and brings the state up to date.
 * @param table the workload's, in force now; its rules are not looked at while the workload is pending or unrestricted.
 * @param time seconds on a clock that only goes forward.
 */
export function evaluate(
  state: EvaluatorState,
  table: RuleTable,
  packet: Packet,
  context: PacketContext,
  time: number,
): Judgement {
  const item: Case = { state, table, socket: {}, time, ...context };
  const { reason: found, flow } = judge(item, packet);
  // To learn is to judge nothing; pending packets are not even learned from.
  const reason = found !== "Pending" && effectOf(table.actions) === "learning" ? "Allowed" : found;
  const verdict = verdictOf(reason, table.actions);
  if (packet.kind === "ip" && state.policyState === "restricted" && verdict !== "dropped")
    rememberRequest(item, packet);
  return {
    verdict,
    reason,
    direction: flow?.direction ?? context.direction,
    origins: flow ? originsOfRights(flow.rights, reason) : [],
  };
}

/** What a reason comes to under the actions of a table. Pending drops whatever the actions are. */
export function verdictOf(reason: Reason, actions: Action[]): Verdict {
  if (reason === "Allowed") return "allowed";
  if (reason === "Pending" || actions.includes("enforce")) return "dropped";
  return actions.includes("alert") ? "alerted" : "counted";
}

function judge(item: Case, packet: Packet): Finding {
  if (item.state.policyState === "unrestricted") return { reason: "Allowed" };
  if (item.state.policyState === "pending") return { reason: "Pending" };
  switch (packet.kind) {
    case "bad":
      return { reason: packet.reason };
    case "other":
      return { reason: "Ethertype" };
    case "arp":
      return { reason: judgeArp(item, packet) };
    case "ip":
      return judgeIp(item, packet);
  }
}

/** ARP belongs to no process: the EtherType mask of `default` is all that counts. */
function judgeArp(item: Case, packet: ArpPacket): Reason {
  const { state, table, direction } = item;
  if (!isArpSound(packet, item)) return "Malformed";
  const attack = arpAttack(table.attacks, state, packet, item);
  if (attack !== null) return attack;
  const allowed = table.default ? table.default[direction].ethertype.arp !== 0n : isLinkArp(state, packet, item);
  return allowed ? "Allowed" : "Ethertype";
}

/** Later fragments share the verdict of the first one of their datagram and sender. */
function judgeIp(item: Case, packet: IpPacket): Finding {
  const { state, table, direction, time } = item;
  const { fragment } = packet;
  if (fragment === null) return judgeDatagram(item, packet);
  const sender = direction === "egress" ? socketOf(item) : "";
  const key = `${direction} ${sender} ${packet.source} ${packet.destination} ${packet.protocol} ${fragment.identification}`;
  if (fragment.part === "later") return { reason: judgeLaterFragment(item, key, fragment.start) };
  const finding = judgeDatagram(item, packet);
  if (!finding.isForgotten)
    state.fragments.set(key, { tableHash: table.hash, reason: finding.reason, seen: time, end: fragment.end });
  return finding;
}

/**
 * What comes in may come out of order: nothing is put together of it before a first fragment has come, and has been judged.
 * What leaves is in order. None may reach into the first one, which has been judged by what it held.
 */
function judgeLaterFragment({ state, table, direction, time }: Case, key: string, start: number): Reason {
  const first = state.fragments.get(key);
  const isSeen = first?.tableHash === table.hash && time - first.seen <= FRAGMENT_LIFETIME;
  if (!isSeen) return direction === "ingress" ? "Allowed" : "Fragment";
  return first.reason === "Allowed" && start < first.end ? "Fragment" : first.reason;
}

function judgeDatagram(item: Case, packet: IpPacket): Finding {
  const { state, direction } = item;
  if (isIcmpError(packet)) return judgeIcmpError(item, packet);
  // Its receivers are judged one by one, where each of them gets it.
  if (direction === "ingress" && isForGroup(packet, state.addresses)) return { reason: "Allowed" };
  const tuple = tupleOf(packet, direction);
  const known = isStateful(packet) ? state.flows.get(flowKeyOf(tuple)) : undefined;
  if (answersNobody(item, packet, known !== undefined)) return { reason: "Unattributed", isForgotten: true };
  if (known === undefined) return judgeAfresh(item, packet, tuple, { flowState: "new" });
  const flowState = flowStateOf(item, packet, known);
  if (flowState === "valid" || flowState === "stale") noteEnd(item, packet, known);
  if (flowState !== "valid") return judgeAfresh(item, packet, tuple, { flowState, known });
  // What belongs to a flow that is a violation is one too.
  const reason = known.reason === "Allowed" ? judgePayload(item, packet, tuple, known) : known.reason;
  return { reason, flow: known };
}

/** An error about an allowed flow is part of it; any other is judged like every message of its protocol. */
function judgeIcmpError(item: Case, packet: IpPacket): Finding {
  const { state, table, direction } = item;
  const attack = ipAttack(table.attacks, state, packet, item);
  if (attack !== null) return { reason: attack };
  const flow = relatedFlow(item, packet);
  if (flow?.reason === "Allowed" && flow.tableHash === table.hash) return { reason: "Allowed", flow };
  if (answersNobody(item, packet, false)) return { reason: "Unattributed", isForgotten: true };
  return judgeAfresh(item, packet, tupleOf(packet, direction), { flowState: "new" });
}

/**
 * The flow that an error is about, if it is one that a host or router makes: of its length, to the sender of the packet that it
 * quotes, about a flow that is alive; outward from the kernel, and from where the quoted packet was meant to go or another
 * own address.
 */
function relatedFlow(item: Case, packet: IpPacket): Flow | undefined {
  const { state, direction } = item;
  const quoted = quotedEnds(packet);
  if (packet.length > ICMP_ERROR_MAX[packet.family] || packet.fragment !== null) return undefined;
  if (quoted === null || packet.destination !== quoted.source) return undefined;
  if (direction === "egress") {
    const isOwn = packet.source === quoted.destination || state.addresses.has(packet.source);
    if (!isOwn || packet.hasOptions || !isFromKernel(item, packet) || quoted.headersLength > QUOTED_HEADERS_MAX)
      return undefined;
  }
  const about = tupleOf(quoted, direction === "egress" ? "ingress" : "egress");
  const flow = state.flows.get(flowKeyOf(about));
  return flow && isAlive(item, flow, quoted.protocol) ? flow : undefined;
}

function originsOfRights(rights: Rights[], reason: Reason): BlockOrigin[] {
  return rights.flatMap(({ ruleset, mask }) => originsOf(ruleset, reason === "Allowed" ? mask : allBlocks(ruleset)));
}
