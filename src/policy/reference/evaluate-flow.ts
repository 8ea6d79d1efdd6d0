/** Flows in the reference evaluator: one judgement for a conversation, for as long as what it rests on holds. */

import type { Direction, Reason } from "../../api/reasons.ts";
import { effectOf } from "../../api/types.ts";
import { type IpPacket, isUrgent, TCP_FLAGS } from "../packet/packet.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import type { Subject } from "../table/subject.ts";
import type { RuleTable } from "../table/tables.ts";
import { type Application, recognizeApplication } from "./applications.ts";
import { judgeDns } from "./dns/evaluate-dns.ts";
import { ipAttack } from "./evaluate-attacks.ts";
import { beginsConnection, flowKeyOf, initiatorOf, isDnsFlow, isStateful, servicePort, type Tuple } from "./flows.ts";
import { isLinkControl } from "./link-control.ts";
import { isCookieAnswer, isKernelReply, type Sender } from "./provenance.ts";
import { judgeApplication, judgeLayers, reportedReason, rightsOf } from "./rights.ts";
import { type EvaluatorState, type Flow, learnerKey, type Rights } from "./state.ts";

/** One packet's circumstances: everything that its judgement depends on beside its bytes. */
export interface Case extends Sender {
  state: EvaluatorState;
  table: RuleTable;
  time: number;
}

/**
 * What a packet is to the flow that has its ends. `new`: there is none, or it is over. `stale`: rules, identity or socket
 * have to be looked at again. `foreign`: another socket's packet with the flow's ends, judged by itself.
 */
export type FlowState = "new" | "stale" | "foreign" | "valid";

/** What a packet that is judged afresh is to a flow that is known. */
export type Relation = { flowState: "new" } | { flowState: "new" | "stale" | "foreign"; known: Flow };

/** Tells what the packet is to the flow, which it keeps alive. */
export function flowStateOf(item: Case, packet: IpPacket, flow: Flow): FlowState {
  const { state, table, direction, time } = item;
  if (beginsConnection(packet)) return "new";
  if (packet.tcp === null) {
    if (time - flow.lastSeen > state.settings.udpIdle) return "new";
    flow.lastSeen = time;
  }
  if (flow.tableHash !== table.hash || flow.epoch !== state.epoch) return "stale";
  // A name may have been learned since; what was refused for its payload stays refused.
  if (flow.reason !== "Allowed" && !flow.payloadRefused && flow.direction === direction) return "stale";
  if (direction === "ingress") return "valid";
  if (flow.socket === null) return "stale";
  return flow.socket === socketOf(item) ? "valid" : "foreign";
}

/** Notes that one side, or with a reset both, will send nothing more. */
export function noteEnd({ direction }: Case, { tcp }: IpPacket, flow: Flow): void {
  const flags = tcp?.flags ?? 0;
  if ((flags & TCP_FLAGS.rst) !== 0) flow.ended = { egress: true, ingress: true };
  else if ((flags & TCP_FLAGS.fin) !== 0) flow.ended[direction] = true;
}

/** Whether anybody is still there whom an ICMP error about the flow may interest. */
export function isAlive({ state, time }: Case, flow: Flow, protocol: number): boolean {
  if (protocol === PROTOCOL_NUMBERS.tcp) return !(flow.ended.egress && flow.ended.ingress);
  return time - flow.lastSeen <= state.settings.udpIdle;
}

/** Judges the packet's flow from the ground up, and keeps it unless it has been dropped. */
export function judgeAfresh(
  item: Case,
  packet: IpPacket,
  tuple: Tuple,
  found: Relation,
): { reason: Reason; flow: Flow } {
  const { state, table } = item;
  const goesOn = found.flowState === "foreign" && goesOnWith(item, packet, found.known);
  const to: Relation = goesOn ? { flowState: "stale", known: found.known } : found;
  const flow = judgeFlow(item, packet, tuple, to.flowState === "stale" ? to.known : null);
  if (to.flowState === "foreign" && isKernelReply(item, packet)) return { reason: "Allowed", flow };
  const learns = effectOf(table.actions) === "learning";
  const reason = flow.reason === "Allowed" || learns ? judgePayload(item, packet, tuple, flow) : flow.reason;
  if (learns) flow.reason = "Allowed";
  // What enforcement drops has no replies; but an application that was refused stays refused.
  const kept = flow.reason === "Allowed" || flow.payloadRefused || !table.actions.includes("enforce");
  if (kept && to.flowState !== "foreign" && isStateful(packet)) state.flows.set(flowKeyOf(tuple), flow);
  return { reason, flow };
}

/** Layers 4 and 5, for a packet of a flow that the others allow. On a DNS port every message is judged by itself. */
export function judgePayload(item: Case, packet: IpPacket, tuple: Tuple, flow: Flow): Reason {
  const { state, table, direction, time } = item;
  if (flow.isDns) return judgeDns(state, { packet, direction, flow, flowKey: flowKeyOf(tuple), table, time });
  const urgent = isUrgent(packet);
  if (!flow.awaitsPayload || (packet.payload.length === 0 && !urgent)) return "Allowed";
  const application = urgent ? null : recognizeFirst(packet, flow, direction);
  if (application === "preface") {
    flow.preface = { ...(flow.preface ?? { egress: 0, ingress: 0 }), [direction]: packet.tcp?.sequence ?? 0 };
    return "Allowed";
  }
  flow.awaitsPayload = false;
  flow.application = application ?? "none";
  const reason = judgeFlowApplication(table, flow);
  flow.reason = effectOf(table.actions) === "learning" ? "Allowed" : reason;
  return reason;
}

/** What may stand before the application's first byte stands there once; it may be sent again. */
function recognizeFirst({ payload, tcp }: IpPacket, { preface }: Flow, direction: Direction) {
  const mayHavePreface = preface === null || preface[direction] === tcp?.sequence;
  return recognizeApplication(payload, tcp === null ? "other" : "tcp", mayHavePreface);
}

/** Layers 1 to 3 and the attacks, for a new flow, or for a known one anew; 4 too where its application is known. */
function judgeFlow(item: Case, packet: IpPacket, tuple: Tuple, known: Flow | null): Flow {
  const { state, table, direction, time } = item;
  const flow: Flow = known
    ? { ...known, ended: { ...known.ended }, dnsStream: { ...known.dnsStream }, payloadRefused: false }
    : newFlow(item, packet, tuple);
  // What comes in may be for another socket than has sent; what the kernel answers is the flow's, and changes nothing.
  if (direction === "ingress") flow.socket = null;
  else if (!isKernelsWithin(item, packet, known)) flow.socket = socketOf(item);
  if (known === null || flow.reason !== "Allowed") flow.allowedSince = item.socket.connectedSince ?? time;
  const owners = subjectsOf(item, packet, known);
  const rights = owners.map((subject) => rightsOf(table, subject, flow.direction));
  // A verdict without the former user's is not for what goes out.
  const epoch = direction === "ingress" && item.socket.former !== undefined ? null : state.epoch;
  Object.assign(flow, { rights, tableHash: table.hash, epoch, lastSeen: time });
  // The kernel's answer within a process's flow is no less an attack than what the process has sent.
  const sender = { ...item, subjects: owners.filter((owner) => owner !== null) };
  flow.reason = ipAttack(table.attacks, state, packet, sender) ?? judgeRights(item, packet, tuple, flow);
  const isDecided = !flow.isDns && !flow.awaitsPayload && flow.application !== "undecided";
  if (flow.reason === "Allowed" && isDecided) flow.reason = judgeFlowApplication(table, flow);
  return flow;
}

function newFlow({ state, direction, socket, time }: Case, packet: IpPacket, tuple: Tuple): Flow {
  const initiator = initiatorOf(packet, direction, socket);
  const isDns = isDnsFlow(tuple, initiator, state.settings);
  const hasPayload = packet.tcp !== null || packet.protocol === PROTOCOL_NUMBERS.udp;
  const isMissed = packet.tcp !== null && !beginsConnection(packet) && (socket.spoken ?? false);
  return {
    direction: initiator,
    socket: null,
    rights: [],
    tableHash: "",
    epoch: 0,
    reason: "Allowed",
    allowedSince: time,
    isDns,
    awaitsPayload: hasPayload && !isDns && !isMissed,
    payloadRefused: false,
    ended: { egress: false, ingress: false },
    preface: null,
    application: "undecided",
    lastSeen: time,
    dnsStream: { egress: null, ingress: null },
  };
}

/**
 * The subjects that are judged. A packet that comes in, and the kernel's answer, may have no socket any more: then the flow's. What
 * goes out without a registered socket belongs to nobody, whatever addresses it has.
 */
function subjectsOf(item: Case, packet: IpPacket, known: Flow | null): (Subject | null)[] {
  const { direction, subjects, socket } = item;
  if (subjects.length > 0) {
    const isFormerJudged = direction === "egress" && socket.former !== undefined;
    return isFormerJudged ? [...subjects, socket.former as Subject] : subjects;
  }
  const mayInherit = known !== null && (direction === "ingress" || isKernelsWithin(item, packet, known));
  return mayInherit ? known.rights.map((rights) => rights.subject) : [null];
}

/** What the kernel sends by itself within a process's flow. */
function isKernelsWithin(item: Case, packet: IpPacket, known: Flow | null): boolean {
  return isKernelReply(item, packet) || (known !== null && isCookieAnswer(item, packet, known));
}

/**
 * Whether a packet's socket goes on with a flow that another one had before: all its subjects had the flow already. It is a
 * server that was started again, a second worker, or the child of a connection that began with a cookie.
 */
function goesOnWith(item: Case, packet: IpPacket, known: Flow): boolean {
  const had = new Set(known.rights.map(learnerKey));
  const subjects = subjectsOf(item, packet, null);
  return (
    item.subjects.length > 0 &&
    subjects.every((subject) => had.has(learnerKey(rightsOf(item.table, subject, known.direction))))
  );
}

function judgeRights(item: Case, packet: IpPacket, tuple: Tuple, flow: Flow): Reason {
  const { state, table } = item;
  const { family, protocol } = packet;
  const destination = { family, protocol, remote: tuple.remote, port: servicePort(tuple, flow.direction) };
  for (const rights of flow.rights) {
    const isUnjudged = rights.binaryId === 0 && table.default === null;
    if (isUnjudged && isLinkControl(table, packet, item)) continue;
    const reason = reportedReason(
      table,
      rights,
      judgeLayers(state, rights, destination, flow.allowedSince, flow.direction),
    );
    if (reason !== "Allowed") return reason;
  }
  return "Allowed";
}

function judgeFlowApplication(table: RuleTable, flow: Flow): Reason {
  const reason = judgeOwnersApplication(table, flow.rights, flow.application as Application | "none");
  if (reason !== "Allowed") flow.payloadRefused = true;
  return reason;
}

/** Whether all subjects may speak an application. Narrows their masks. */
export function judgeOwnersApplication(table: RuleTable, owners: Rights[], application: Application | "none"): Reason {
  for (const rights of owners) {
    const reason = reportedReason(table, rights, judgeApplication(rights, application === "none" ? null : application));
    if (reason !== "Allowed") return reason;
  }
  return "Allowed";
}

/** Sockets without an id of their own are distinguished by their subjects. */
export function socketOf({ subjects, socket }: Case): string {
  return socket.id ?? JSON.stringify(subjects);
}
