/** DNS in the reference evaluator: what may be asked, and what answers teach. Section 5 of the contract. */
import type { Direction, Reason } from "../api/reasons.ts";
import type { Attack } from "../api/types.ts";
import { type DnsMessage, parseDns, readAnswers } from "./dns.ts";
import type { IpPacket } from "./packet.ts";
import { judgeQuestion } from "./rights.ts";
import { type Flow, learn, learnerKey, type WorkloadState } from "./state.ts";

/** One packet on a DNS port, as part of its flow. */
export interface DnsPacket {
  packet: IpPacket;
  /** Of the packet; the flow has its own. */
  direction: Direction;
  flow: Flow;
  /** Key of the flow: an answer has to come over the flow of its question. */
  flowKey: string;
  attacks: Attack[];
  time: number;
}

/** A message cut out of a packet; `cut` if its end is not in this packet. */
interface Message {
  bytes: Uint8Array;
  cut: boolean;
}

/** Judges every message of the packet; the first that fails gives the reason. */
export function judgeDns(state: WorkloadState, dns: DnsPacket): Reason {
  const messages = dns.packet.tcp === null ? datagramMessage(dns.packet) : segmentMessages(dns);
  if (messages === null) return "DnsMalformed";
  for (const message of messages) {
    const reason = judgeMessage(state, dns, message);
    if (reason !== "Allowed") return reason;
  }
  return "Allowed";
}

function datagramMessage(packet: IpPacket): Message[] {
  return [{ bytes: packet.payload, cut: packet.fragment !== null }];
}

/**
 * Cuts a TCP segment into messages by their length prefixes. What belongs to a message that began in an earlier segment,
 * or was seen before, is skipped. Null if the stream cannot be followed: a gap, or half a length prefix.
 */
function segmentMessages({ packet, flow, direction }: DnsPacket): Message[] | null {
  const { payload } = packet;
  const sequence = packet.tcp?.sequence ?? 0;
  if (payload.length === 0) return [];
  let offset = distance(sequence, flow.dnsNext[direction] ?? sequence);
  if (offset < 0) return null;
  const messages: Message[] = [];
  while (offset < payload.length) {
    let length = flow.dnsLength[direction];
    if (length === 0) {
      if (offset + 2 > payload.length) return null;
      length = ((payload[offset] as number) << 8) | (payload[offset + 1] as number);
      offset += 2;
      if (offset === payload.length) {
        flow.dnsLength[direction] = length;
        break;
      }
    }
    flow.dnsLength[direction] = 0;
    messages.push({ bytes: payload.subarray(offset, offset + length), cut: offset + length > payload.length });
    offset += length;
  }
  flow.dnsNext[direction] = (sequence + offset) >>> 0;
  return messages;
}

/** From one sequence number to another, modulo 2^32, as a signed number. */
function distance(from: number, to: number): number {
  return (to - from) | 0;
}

function judgeMessage(state: WorkloadState, dns: DnsPacket, message: Message): Reason {
  const parsed = parseDns(message.bytes);
  if (parsed === null) return "DnsMalformed";
  if (parsed.response) return judgeResponse(state, dns, parsed, message);
  for (const rights of dns.flow.rights) {
    const reason = judgeQuestion(rights, parsed.name);
    if (reason !== "Allowed") return reason;
  }
  if (dns.direction === "egress" && dns.flow.direction === "egress") {
    const learners = dns.flow.rights.map(learnerKey);
    state.queries.set(queryKey(dns.flowKey, parsed), { name: parsed.name, type: parsed.type, learners });
  }
  return "Allowed";
}

/** Answers to the workload's own questions teach; what nobody asked for is an attack, if the profile lists it. */
function judgeResponse(state: WorkloadState, dns: DnsPacket, parsed: DnsMessage, message: Message): Reason {
  if (dns.direction !== "ingress" || dns.flow.direction !== "egress") return "Allowed";
  const query = state.queries.get(queryKey(dns.flowKey, parsed));
  if (query === undefined || query.name !== parsed.name || query.type !== parsed.type) {
    return dns.attacks.includes("dns-spoofing") ? "DnsSpoofing" : "Allowed";
  }
  const answers = readAnswers(message.bytes, parsed);
  const { fqdnMinTtl, fqdnMaxTtl, fqdnGrace } = state.settings;
  for (const { address, ttl } of answers.addresses) {
    const life = Math.min(Math.max(ttl, fqdnMinTtl), fqdnMaxTtl) + fqdnGrace;
    for (const learner of query.learners) {
      learn(state, learner, address, { name: parsed.name, expires: dns.time + life });
    }
  }
  return answers.complete || message.cut || parsed.truncated ? "Allowed" : "DnsMalformed";
}

function queryKey(flowKey: string, message: DnsMessage): string {
  return `${flowKey} ${message.id}`;
}
