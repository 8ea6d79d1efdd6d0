/** Protocols and port ranges, flattened into prefixes over (protocol, port). */
import type { L4ProtocolName } from "../../api/types.ts";
import type { BlockMask, PortRule } from "./tables.ts";

export const PORT_MAX = 65_535;
const PORT_BITS = 16;
const PROTOCOL_MAX = 255;

/** IANA protocol numbers of the names that profiles use. */
export const PROTOCOL_NUMBERS = {
  icmp: 1,
  igmp: 2,
  tcp: 6,
  udp: 17,
  icmpv6: 58,
  sctp: 132,
} as const satisfies Record<Exclude<L4ProtocolName, "any">, number>;

/** What one block says: every protocol (null), all of one protocol, or a range of its ports (inclusive). */
export interface PortGrant {
  protocol: number | null;
  first: number;
  last: number;
  mask: BlockMask;
}

interface Interval {
  first: number;
  last: number;
  mask: BlockMask;
}

/** The protocol as profiles write it: `tcp`, or the number of one without a name. */
export function protocolName(protocol: number): string {
  const known = Object.entries(PROTOCOL_NUMBERS).find(([, number]) => number === protocol);
  return known ? known[0] : String(protocol);
}

/** The number of what `protocolName` writes; null for what is no IP protocol. */
export function protocolNumber(name: string): number | null {
  if (Object.hasOwn(PROTOCOL_NUMBERS, name)) return PROTOCOL_NUMBERS[name as keyof typeof PROTOCOL_NUMBERS];
  return /^\d{1,3}$/.test(name) && Number(name) <= PROTOCOL_MAX ? Number(name) : null;
}

/**
 * Disjoint prefixes, each with the masks of what is wider (its protocol, any protocol), so that the longest match
 * alone tells all blocks; those that add nothing to what is wider are left out. Sorted by protocol, then port.
 */
export function flattenPorts(grants: PortGrant[]): PortRule[] {
  const anyProtocol = union(grants.filter((grant) => grant.protocol === null));
  const rules: PortRule[] = [];
  if (anyProtocol !== 0n) rules.push({ protocol: null, port: 0, portPrefix: 0, mask: anyProtocol });
  const protocols = new Set(grants.map((grant) => grant.protocol).filter((protocol) => protocol !== null));
  for (const protocol of [...protocols].sort((left, right) => left - right)) {
    const own = grants.filter((grant) => grant.protocol === protocol);
    rules.push(...flattenProtocol(protocol, own, anyProtocol));
  }
  return rules;
}

function flattenProtocol(protocol: number, grants: PortGrant[], inherited: BlockMask): PortRule[] {
  const isWhole = (grant: PortGrant) => grant.first === 0 && grant.last === PORT_MAX;
  const whole = inherited | union(grants.filter(isWhole));
  const rules: PortRule[] = [];
  if (whole !== inherited) rules.push({ protocol, port: 0, portPrefix: 0, mask: whole });
  for (const interval of disjoint(grants.filter((grant) => !isWhole(grant)))) {
    const mask = interval.mask | whole;
    if (mask === whole) continue;
    for (const { port, portPrefix } of alignedPrefixes(interval.first, interval.last)) {
      rules.push({ protocol, port, portPrefix, mask });
    }
  }
  return rules;
}

/** Cuts overlapping ranges into disjoint ones in ascending order, neighbours with one mask joined. */
function disjoint(grants: PortGrant[]): Interval[] {
  const cuts = new Set(grants.flatMap((grant) => [grant.first, grant.last + 1]));
  const bounds = [...cuts].sort((left, right) => left - right);
  const intervals: Interval[] = [];
  for (let index = 0; index + 1 < bounds.length; index += 1) {
    const first = bounds[index] as number;
    const last = (bounds[index + 1] as number) - 1;
    const mask = union(grants.filter((grant) => grant.first <= first && grant.last >= last));
    const previous = intervals.at(-1);
    if (previous !== undefined && previous.last === first - 1 && previous.mask === mask) previous.last = last;
    else if (mask !== 0n) intervals.push({ first, last, mask });
  }
  return intervals;
}

/** The fewest aligned power-of-two ranges that make up `first` to `last`: at most 30. */
function alignedPrefixes(first: number, last: number): { port: number; portPrefix: number }[] {
  const prefixes: { port: number; portPrefix: number }[] = [];
  let port = first;
  while (port <= last) {
    let bits = 0;
    while (bits < PORT_BITS && port % 2 ** (bits + 1) === 0 && port + 2 ** (bits + 1) - 1 <= last) bits += 1;
    prefixes.push({ port, portPrefix: PORT_BITS - bits });
    port += 2 ** bits;
  }
  return prefixes;
}

function union(grants: { mask: BlockMask }[]): BlockMask {
  return grants.reduce((mask, grant) => mask | grant.mask, 0n);
}
