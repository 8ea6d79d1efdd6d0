/** Wider forms of what was seen, which are proposed, and taken only where somebody asks for them. */
import { getDomain } from "tldts";
import { type Family, formatAddress, maskAddress, parsePrefix } from "../policy/table/prefixes.ts";

export const GENERALIZATIONS = ["names", "addresses"] as const;
export type Generalization = (typeof GENERALIZATIONS)[number];

/** One rule in the place of several. */
export interface Proposal {
  /** `*.example.com`, or a prefix. */
  pattern: string;
  /** What was seen of it. */
  covers: string[];
}

/** Siblings from which on a wider form is proposed. */
const SIBLINGS_MIN = 5;
/** The block of an address: what one network of machines usually has (RFC 4291, 2.5.4 for IPv6). */
const BLOCK_BITS: Readonly<Record<Family, number>> = { ipv4: 24, ipv6: 64 };

/** The name without its first label; empty for a name of one label. */
export function parentName(name: string): string {
  const dot = name.indexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1);
}

/** `*.parent` for five or more names below one parent that somebody has registered: never at or above a public suffix. */
export function nameProposals(names: readonly string[]): Proposal[] {
  return proposals(
    names.filter((name) => isRegistered(parentName(name))),
    (name) => `*.${parentName(name)}`,
  );
}

/** Whether the name is a registered domain, or below one, by the Public Suffix List with its private part. */
function isRegistered(name: string): boolean {
  return name !== "" && getDomain(name, { allowPrivateDomains: true }) !== null;
}

/** The block of five or more addresses. @param cidrs of whole addresses, `10.0.0.1/32` */
export function addressProposals(cidrs: readonly string[], family: Family): Proposal[] {
  return proposals(cidrs, (cidr) => {
    const length = BLOCK_BITS[family];
    const { address } = parsePrefix(cidr, family);
    return `${formatAddress(maskAddress(address, length, family), family)}/${length}`;
  });
}

function proposals(values: readonly string[], patternOf: (value: string) => string): Proposal[] {
  const groups = [...Map.groupBy(new Set(values), patternOf)];
  return groups
    .filter(([, covers]) => covers.length >= SIBLINGS_MIN)
    .map(([pattern, covers]) => ({ pattern, covers: covers.toSorted() }));
}
