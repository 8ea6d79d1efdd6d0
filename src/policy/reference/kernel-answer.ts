/**
 * What the workload's kernel answers by itself: resets, ICMP errors, echo replies and the like. Anybody who may write raw packets
 * can put a question to it in another's name, so that an answer counts only if somebody outside has asked.
 */

import type { IpPacket } from "../packet/packet.ts";
import { PROTOCOL_NUMBERS } from "../table/ports.ts";
import type { Family } from "../table/prefixes.ts";
import type { Case } from "./evaluate-flow.ts";
import { isIcmpError } from "./flows.ts";
import { isBareTcp, isFromKernel } from "./provenance.ts";

/** Echo and, in IPv4, timestamp (RFC 792). An extended echo (RFC 8335) is replied to, and not taken for a request. */
const MESSAGES = {
  ipv4: { protocol: PROTOCOL_NUMBERS.icmp, requests: [8, 13], replies: [0, 14, 43] },
  ipv6: { protocol: PROTOCOL_NUMBERS.icmpv6, requests: [128], replies: [129, 161] },
} as const satisfies Record<Family, { protocol: number; requests: number[]; replies: number[] }>;
const TIMESTAMPS: readonly number[] = [13, 14];
/** The time of the request, behind the header; the kernel writes what follows. */
const TIMESTAMP_LENGTH = 4;
/** Of a datagram in fragments, from the identifier on; they are not cut alike on the way in and out. */
const REPEATED_IN_FRAGMENTS = 512;
/** With the sequence number. */
const IDENTIFIER_LENGTH = 4;
/** Seconds for which a reply may be held up. */
const REQUEST_LIFETIME = 10;

/** Remembers a request that is let in, so that it may be replied to. */
export function rememberRequest({ state, direction, time }: Case, packet: IpPacket): void {
  if (direction !== "ingress" || !isMessage(packet, "requests")) return;
  const repeated = repeatedBy(packet);
  if (repeated !== null) state.requests.set(`${packet.source} ${repeated}`, time);
}

/** Whether the kernel answers what has not come in. An error about a flow has been distinguished before. */
export function answersNobody(item: Case, packet: IpPacket, hasFlow: boolean): boolean {
  const isReply = isMessage(packet, "replies");
  const isSegment = isBareTcp(packet);
  if (!isFromKernel(item, packet) || !(isSegment || isReply || isIcmpError(packet))) return false;
  // The kernel copies options of IPv4 from the question.
  if (packet.hasOptions) return true;
  if (isSegment) return !hasFlow;
  return !isReply || !repeatsRequest(item, packet);
}

function repeatsRequest({ state, time }: Case, packet: IpPacket): boolean {
  const repeated = repeatedBy(packet);
  const asked = repeated === null ? undefined : state.requests.get(`${packet.destination} ${repeated}`);
  return asked !== undefined && time - asked <= REQUEST_LIFETIME;
}

/** What a request and its reply have in common, whoever they are from and to; null if not all of it is there. */
function repeatedBy({ icmp, protocol, fragment, payload }: IpPacket): string | null {
  if (icmp === null) return null;
  const isTimestamp = protocol === PROTOCOL_NUMBERS.icmp && TIMESTAMPS.includes(icmp.type);
  if (isTimestamp && payload.length < TIMESTAMP_LENGTH) return null;
  const inFragments = fragment === null ? payload.length : REPEATED_IN_FRAGMENTS - IDENTIFIER_LENGTH;
  const repeated = payload.subarray(0, isTimestamp ? TIMESTAMP_LENGTH : inFragments);
  const bytes = Buffer.from(repeated).toString("hex");
  return JSON.stringify([icmp.code, icmp.identifier, icmp.sequence, isTimestamp, fragment !== null, bytes]);
}

function isMessage({ family, protocol, icmp }: IpPacket, kind: "requests" | "replies"): boolean {
  const types: readonly number[] = MESSAGES[family][kind];
  return protocol === MESSAGES[family].protocol && icmp !== null && types.includes(icmp.type);
}
