/** DNS in the reference evaluator: what may be asked, and what answers teach. Section 5 of the contract. */
import type { Direction, Reason } from "../api/reasons.ts";
import { type DnsMessage, parseDns, readAnswers } from "./dns.ts";
import { type IpPacket, TCP_FLAGS } from "./packet.ts";
import { judgeQuestion, toldReason } from "./rights.ts";
import { type Flow, learn, learnerKey, type WorkloadState } from "./state.ts";
import type { RuleTable } from "./tables.ts";

/** Messages that are read of one TCP segment; a segment with more is a violation. */
const SEGMENT_MESSAGES_MAX = 8;
const HEADER_LENGTH = 12;
/** Of the subjects of a flow, so many profit from what they ask; a former user of the socket that is one more does not. */
const LEARNERS_MAX = 2;

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

/** A message cut out of a packet; `cut` if its end is not in this packet. */
interface Message {
  bytes: Uint8Array;
  cut: boolean;
}

/** A place in a TCP stream: the next message's length prefix or, where the prefix came alone, the message itself. */
interface StreamPosition {
  next: number;
  length: number;
}

/** Judges every message of the packet; the first that fails gives the reason. */
export function judgeDns(state: WorkloadState, dns: DnsPacket): Reason {
  const { packet } = dns;
  if (packet.tcp !== null) return judgeSegment(state, dns, packet.tcp.sequence);
  // Of several datagrams in one, all questions but the first would go unseen.
  if (packet.segments > 1) return "DnsMalformed";
  return judgeMessage(state, dns, { bytes: packet.payload, cut: packet.fragment !== null });
}

/**
 * Judges the messages of a TCP segment. What belongs to a message that began in an earlier segment, or was seen before,
 * is skipped; a gap before the segment cannot be.
 */
function judgeSegment(state: WorkloadState, dns: DnsPacket, sequence: number): Reason {
  const { flow, direction } = dns;
  const size = dns.packet.payload.length;
  const position = { ...(flow.dnsStream[direction] ?? { next: sequence, length: 0 }) };
  // Where the stream starts is known from its SYN on: nothing can be put before the first segment that is seen.
  if (((dns.packet.tcp?.flags ?? 0) & TCP_FLAGS.syn) !== 0) flow.dnsStream[direction] = { ...position };
  if (size === 0) return "Allowed";
  const skip = (position.next - sequence) | 0;
  if (skip >= size) return "Allowed";
  const reason = skip < 0 ? "DnsMalformed" : judgeMessages(state, dns, position, skip);
  if (reason === "Allowed") flow.dnsStream[direction] = position;
  // What is watched and not dropped goes on; with the next segment, behind what could not be read.
  else if (skip >= 0 && !dns.table.actions.includes("enforce")) {
    flow.dnsStream[direction] = { next: (sequence + size) >>> 0, length: 0 };
  }
  return reason;
}

/** Judges the messages from `offset` on and moves `position` behind them. */
function judgeMessages(state: WorkloadState, dns: DnsPacket, position: StreamPosition, offset: number): Reason {
  const { payload } = dns.packet;
  const advance = (bytes: number) => {
    offset += bytes;
    position.next = (position.next + bytes) >>> 0;
  };
  for (let count = 0; offset < payload.length; count += 1) {
    if (count === SEGMENT_MESSAGES_MAX) return "DnsMalformed";
    if (position.length === 0) {
      if (offset + 2 > payload.length) return "DnsMalformed";
      position.length = ((payload[offset] as number) << 8) | (payload[offset + 1] as number);
      if (position.length < HEADER_LENGTH) return "DnsMalformed";
      advance(2);
      // The prefix came alone; its message begins the next segment.
      if (offset === payload.length) return "Allowed";
    }
    const end = offset + position.length;
    const reason = judgeMessage(state, dns, { bytes: payload.subarray(offset, end), cut: end > payload.length });
    if (reason !== "Allowed") return reason;
    advance(position.length);
    position.length = 0;
  }
  return "Allowed";
}

/** Who began the flow asks, the other side answers, and a question comes in one piece. */
function judgeMessage(state: WorkloadState, dns: DnsPacket, message: Message): Reason {
  const parsed = parseDns(message.bytes);
  if (parsed === null) return "DnsMalformed";
  const asks = !parsed.response;
  if (asks !== (dns.direction === dns.flow.direction) || (asks && message.cut)) return "DnsMalformed";
  dns.flow.application = "dns";
  return asks ? judgeQuery(state, dns, parsed) : judgeResponse(state, dns, parsed, message);
}

/** A question that goes out, allowed or merely watched, is remembered until its answer comes. */
function judgeQuery(state: WorkloadState, dns: DnsPacket, parsed: DnsMessage): Reason {
  const { flow, table } = dns;
  const reasons = flow.rights.map((rights) => toldReason(table, rights, judgeQuestion(rights, parsed.name)));
  const reason = reasons.find((item) => item !== "Allowed") ?? "Allowed";
  if (flow.direction === "egress" && (reason === "Allowed" || !table.actions.includes("enforce"))) {
    const learners = [...new Set(flow.rights.slice(0, LEARNERS_MAX).map(learnerKey))];
    state.queries.set(queryKey(dns.flowKey, parsed), { name: parsed.name, type: parsed.type, learners });
  }
  return reason;
}

/**
 * An answer teaches if its question was asked: by this flow, with this id, name and type. It is then answered. What nobody
 * asked for is an attack if the profile lists it. What the workload answers to others teaches nothing.
 */
function judgeResponse(state: WorkloadState, dns: DnsPacket, parsed: DnsMessage, message: Message): Reason {
  if (dns.flow.direction === "ingress") return "Allowed";
  const key = queryKey(dns.flowKey, parsed);
  const query = state.queries.get(key);
  if (query === undefined || query.name !== parsed.name || query.type !== parsed.type) {
    return dns.table.attacks.includes("dns-spoofing") ? "DnsSpoofing" : "Allowed";
  }
  state.queries.delete(key);
  const answers = readAnswers(message.bytes, parsed);
  const { fqdnMinTtl, fqdnMaxTtl, fqdnGrace } = state.settings;
  for (const { address, ttl } of answers.addresses) {
    const expires = dns.time + Math.min(Math.max(ttl, fqdnMinTtl), fqdnMaxTtl) + fqdnGrace;
    for (const learner of query.learners) learn(state, learner, address, { name: parsed.name, expires });
  }
  return answers.complete || message.cut || parsed.truncated ? "Allowed" : "DnsMalformed";
}

function queryKey(flowKey: string, message: DnsMessage): string {
  return `${flowKey} ${message.id}`;
}
