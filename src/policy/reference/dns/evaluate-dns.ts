/** DNS in the reference evaluator: what may be asked, and what answers teach. docs/dns.md has the rules. */

import type { Direction, Reason } from "../../../api/reasons.ts";
import { effectOf } from "../../../api/types.ts";
import { type IpPacket, isUrgent, TCP_FLAGS } from "../../packet/packet.ts";
import type { RuleTable } from "../../table/tables.ts";
import { connectsTo, judgeQuestion, reportedReason } from "../rights.ts";
import { type EvaluatorState, type Flow, learn, learnerKey, type Query, type StreamPosition } from "../state.ts";
import { type DnsMessage, MESSAGE_MAX, mayContinue, OPCODE, parseDns, readAnswers, readCarried } from "./dns.ts";

const HEADER_LENGTH = 12;
/** Of the subjects of a flow, so many profit from what they ask; a former user of the socket that is one more does not. */
const LEARNERS_MAX = 2;
/** For so long an answer is awaited, in seconds. */
const QUESTION_LIFETIME = 30;
/** Bytes of a question over TCP that may leave before the rest of it has come. */
const QUESTION_PART_MAX = 300;
/** So many bytes may be missing before a segment that comes ahead. */
const GAP_MAX = 65_535;
/** More than fit into 64 KiB. */
const MESSAGES_MAX = 4096;

/** One packet on a DNS port, as part of its flow. */
export interface DnsPacket {
  packet: IpPacket;
  /** Of the packet; the flow has its own. */
  direction: Direction;
  flow: Flow;
  /** Key of the flow: an answer has to come over the flow of its question. */
  flowKey: string;
  table: RuleTable;
  time: number;
}

/** A message cut out of a packet. `cut`: its end is not there, for good or (`continues`) until the next segment. */
interface Message {
  bytes: Uint8Array;
  cut: boolean;
  continues?: boolean;
}

/** A verdict; `isAwaited`: the message is an answer of which the next segment is needed. */
interface Judgement {
  reason: Reason;
  isAwaited: boolean;
}

/** Judges every message of the packet; the first that fails gives the reason. */
export function judgeDns(state: EvaluatorState, dns: DnsPacket): Reason {
  const { packet } = dns;
  if (packet.tcp !== null) return judgeSegment(state, dns, packet.tcp.sequence);
  for (const bytes of datagramsOf(packet)) {
    const { reason } = judgeMessage(state, dns, { bytes, cut: packet.fragment !== null });
    if (reason !== "Allowed") return reason;
  }
  return "Allowed";
}

/** The datagrams that segmentation offload will make of a packet. */
function datagramsOf({ payload, segments, segmentSize = 0 }: IpPacket): Uint8Array[] {
  if (segments <= 1 || segmentSize === 0 || payload.length <= segmentSize) return [payload];
  const count = Math.ceil(payload.length / segmentSize);
  return Array.from({ length: count }, (_, index) => payload.subarray(index * segmentSize, (index + 1) * segmentSize));
}

/**
 * Judges the messages of a TCP segment. What belongs to a message that began in an earlier segment and is not awaited, or
 * was seen before, is skipped; what was kept of segments ahead is judged with the one that leads to it.
 */
function judgeSegment(state: EvaluatorState, dns: DnsPacket, sequence: number): Reason {
  const { flow, direction } = dns;
  const { payload } = dns.packet;
  const position = { ...(flow.dnsStream[direction] ?? beginning(sequence)) };
  // Where the stream starts is known from its SYN on: nothing can be put before the first segment that is seen.
  if (((dns.packet.tcp?.flags ?? 0) & TCP_FLAGS.syn) !== 0) flow.dnsStream[direction] = { ...position };
  const skip = (position.next - sequence) | 0;
  const urgent = isUrgent(dns.packet);
  if (!urgent && (payload.length === 0 || skip >= payload.length)) return "Allowed";
  const reason = urgent ? "DnsMalformed" : judgeBytes(state, dns, position, skip);
  if (reason === "Allowed") flow.dnsStream[direction] = position;
  // What is watched and not dropped goes on with the next segment, behind what could not be read and what came ahead.
  else if (!dns.table.actions.includes("enforce")) {
    const next = (sequence + payload.length) >>> 0;
    const keptEnd = position.ahead ? position.ahead.from + position.ahead.bytes.length : next;
    flow.dnsStream[direction] = beginning(((keptEnd - next) | 0) > 0 ? keptEnd : next);
  }
  return reason;
}

/** @param skip of the segment's bytes, so many have been judged; negative: so many are missing before them */
function judgeBytes(state: EvaluatorState, dns: DnsPacket, position: StreamPosition, skip: number): Reason {
  if (skip < 0) return judgeAhead(state, dns, position, (position.next - skip) >>> 0);
  return judgeInOrder(state, dns, position, dns.packet.payload.subarray(skip));
}

/** The segment's new bytes, and what was kept if the stream comes to it. */
function judgeInOrder(state: EvaluatorState, dns: DnsPacket, position: StreamPosition, bytes: Uint8Array): Reason {
  const reason = judgeMessages(state, dns, position, bytes);
  const { ahead } = position;
  if (reason !== "Allowed" || ahead === null) return reason;
  const at = (position.next - ahead.from) | 0;
  if (at < 0) return "Allowed";
  const last = at < ahead.bytes.length ? judgeMessages(state, dns, position, ahead.bytes.subarray(at)) : "Allowed";
  if (last === "Allowed") position.ahead = null;
  return last;
}

/**
 * A segment ahead of the stream passes if it can be kept: the receiver can do nothing with it before those in front of it. A
 * question has to be allowed by itself, too.
 */
function judgeAhead(state: EvaluatorState, dns: DnsPacket, position: StreamPosition, sequence: number): Reason {
  const { payload } = dns.packet;
  if (dns.direction === dns.flow.direction) {
    const apart = beginning(sequence);
    const reason = judgeMessages(state, dns, apart, payload);
    if (reason !== "Allowed" && reason !== "DnsMalformed") return reason;
    if (reason === "DnsMalformed" || apart.length > 0 || apart.held.length > 0) return "Capacity";
  }
  if ((sequence - position.next) >>> 0 > GAP_MAX) return "Capacity";
  const { from, bytes } = position.ahead ?? { from: sequence, bytes: new Uint8Array() };
  const known = bytes.length - ((sequence - from) >>> 0);
  if (known < 0 || bytes.length + payload.length - known > MESSAGE_MAX) return "Capacity";
  position.ahead = { from, bytes: Uint8Array.from([...bytes, ...payload.subarray(known)]) };
  return "Allowed";
}

function beginning(sequence: number): StreamPosition {
  return { next: sequence >>> 0, length: 0, held: new Uint8Array(), ahead: null };
}

/** The rest of the message is not looked at: the next one begins behind it. */
function skipMessage(position: StreamPosition): void {
  const next = position.next + position.length - position.held.length;
  Object.assign(position, beginning(next), { ahead: position.ahead });
}

/** Judges the messages in the next bytes of the stream, and moves `position` behind them. */
function judgeMessages(state: EvaluatorState, dns: DnsPacket, position: StreamPosition, payload: Uint8Array): Reason {
  let offset = 0;
  const take = (bytes: number) => {
    const taken = payload.subarray(offset, offset + bytes);
    offset += taken.length;
    position.next = (position.next + taken.length) >>> 0;
    return Uint8Array.from([...position.held, ...taken]);
  };
  for (let count = 0; offset < payload.length; count += 1) {
    if (count === MESSAGES_MAX) return "DnsMalformed";
    if (position.length === 0) {
      const prefix = take(2 - position.held.length);
      if (prefix.length < 2) {
        // Half a length; the other half begins the next segment.
        position.held = prefix;
        return "Allowed";
      }
      position.held = new Uint8Array();
      position.length = ((prefix[0] as number) << 8) | (prefix[1] as number);
      if (position.length < HEADER_LENGTH) return "DnsMalformed";
      // The prefix came alone; its message begins the next segment.
      if (offset === payload.length) return "Allowed";
    }
    const bytes = take(position.length - position.held.length);
    const continues = bytes.length < position.length;
    const { reason, isAwaited } = judgeMessage(state, dns, { bytes, cut: continues, continues });
    if (reason !== "Allowed") return reason;
    position.held = bytes;
    if (!isAwaited) skipMessage(position);
  }
  return "Allowed";
}

/** Who began the flow asks, and the other side answers. */
function judgeMessage(state: EvaluatorState, dns: DnsPacket, whole: Message): Judgement {
  const { bytes } = whole;
  const message = { ...whole, bytes: bytes.subarray(0, MESSAGE_MAX), cut: whole.cut || bytes.length > MESSAGE_MAX };
  const parsed = parseDns(message.bytes);
  const asks = dns.direction === dns.flow.direction;
  const isEarly = !asks || bytes.length <= QUESTION_PART_MAX;
  if (parsed === null && isEarly && message.continues && mayContinue(message.bytes)) {
    return { reason: "Allowed", isAwaited: true };
  }
  if (parsed === null || asks === parsed.response) return { reason: "DnsMalformed", isAwaited: false };
  dns.flow.application = "dns";
  const judged = asks ? judgeQuery(state, dns, parsed, message) : judgeResponse(state, dns, parsed, message);
  // Whoever is not judged may ask what he likes, and the packet's next message is of interest too.
  return judged.reason !== "DnsMalformed" && effectOf(dns.table.actions) === "learning"
    ? { ...judged, reason: "Allowed" }
    : judged;
}

/** A question that goes out, allowed or merely watched, is remembered until its time is up. */
function judgeQuery(state: EvaluatorState, dns: DnsPacket, parsed: DnsMessage, message: Message): Judgement {
  const { flow, table } = dns;
  // Of an update over TCP, which may be long, as much is needed as tells its zone.
  const isBeginning = message.cut && parsed.opcode !== OPCODE.query && dns.packet.tcp !== null;
  // Of another question over TCP, a few bytes may leave before the rest of it has come.
  const isAwaited = !isBeginning && message.continues === true && message.bytes.length <= QUESTION_PART_MAX;
  if (message.cut && !isBeginning && !isAwaited) return { reason: "DnsMalformed", isAwaited: false };
  const carries = isBeginning ? "records" : isAwaited ? "nothing" : readCarried(message.bytes, parsed);
  if (carries === null) return { reason: "DnsMalformed", isAwaited: false };
  const reasons = flow.rights.map((rights) =>
    reportedReason(table, rights, judgeQuestion(rights, parsed.name, carries)),
  );
  const reason = reasons.find((item) => item !== "Allowed") ?? "Allowed";
  if (isAwaited) return { reason, isAwaited };
  if (flow.direction === "egress" && (reason === "Allowed" || !table.actions.includes("enforce"))) {
    // Who only learns is to know the names of all peers.
    const connecting = flow.rights
      .slice(0, LEARNERS_MAX)
      .filter((rights) => table.actions.includes("learn") || connectsTo(rights, parsed.name));
    const learners = [...new Set(connecting.map(learnerKey))];
    const { name, type } = parsed;
    state.queries.set(queryKey(dns.flowKey, parsed), { name, type, asked: dns.time, learners });
  }
  return { reason, isAwaited: false };
}

/**
 * An answer counts if its question was asked: by this flow, with this id, name and type, and not long ago. What nobody
 * asked for is an attack if the profile lists it. What the workload answers to others teaches nothing.
 */
function judgeResponse(state: EvaluatorState, dns: DnsPacket, parsed: DnsMessage, message: Message): Judgement {
  if (dns.flow.direction === "ingress") return { reason: "Allowed", isAwaited: false };
  const query = state.queries.get(queryKey(dns.flowKey, parsed));
  if (query === undefined || !isAnswerTo(query, parsed, dns.time)) {
    return { reason: dns.table.attacks.includes("dns-spoofing") ? "DnsSpoofing" : "Allowed", isAwaited: false };
  }
  if (!parsed.hasQuestion || parsed.opcode !== OPCODE.query) return { reason: "Allowed", isAwaited: false };
  if (message.continues && query.learners.length > 0) return { reason: "Allowed", isAwaited: true };
  const answers = readAnswers(message.bytes, parsed);
  const { fqdnMinTtl, fqdnMaxTtl, fqdnGrace } = state.settings;
  for (const { address, ttl } of answers.addresses) {
    const expires = dns.time + Math.min(Math.max(ttl, fqdnMinTtl), fqdnMaxTtl) + fqdnGrace;
    for (const learner of query.learners) learn(state, learner, address, { name: parsed.name, expires });
  }
  return { reason: answers.complete || message.cut || parsed.truncated ? "Allowed" : "DnsMalformed", isAwaited: false };
}

function isAnswerTo(query: Query, { hasQuestion, name, type }: DnsMessage, time: number): boolean {
  if (time - query.asked > QUESTION_LIFETIME) return false;
  return !hasQuestion || (query.name === name && query.type === type);
}

function queryKey(flowKey: string, message: DnsMessage): string {
  return `${flowKey} ${message.id}`;
}
