/** Names for the numbers in packets. */

/** IP protocol numbers with a name in profiles (RFC 5237, IANA protocol-numbers). */
const IP_PROTOCOLS: ReadonlyMap<number, string> = new Map([
  [1, "icmp"],
  [2, "igmp"],
  [6, "tcp"],
  [17, "udp"],
  [58, "icmpv6"],
  [132, "sctp"],
]);

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_ARP = 0x0806;

const WITH_PORTS: ReadonlySet<number> = new Set([6, 17, 132]);

/** The IANA "DNS Resource Record (RR) TYPEs" that turn up in questions. */
const DNS_TYPES: ReadonlyMap<number, string> = new Map([
  [1, "A"],
  [2, "NS"],
  [5, "CNAME"],
  [6, "SOA"],
  [10, "NULL"],
  [12, "PTR"],
  [13, "HINFO"],
  [15, "MX"],
  [16, "TXT"],
  [28, "AAAA"],
  [29, "LOC"],
  [33, "SRV"],
  [35, "NAPTR"],
  [39, "DNAME"],
  [43, "DS"],
  [46, "RRSIG"],
  [47, "NSEC"],
  [48, "DNSKEY"],
  [52, "TLSA"],
  [64, "SVCB"],
  [65, "HTTPS"],
  [99, "SPF"],
  [251, "IXFR"],
  [252, "AXFR"],
  [255, "ANY"],
  [257, "CAA"],
]);

/** Those of the IANA's "DNS OpCodes" that have a message with one question. */
const DNS_OPCODES = new Map([
  [0, "QUERY"],
  [2, "STATUS"],
  [4, "NOTIFY"],
  [5, "UPDATE"],
]);

/** The IANA "DNS RCODEs" that fit a message's four bits. */
const DNS_RCODES = [
  "NOERROR",
  "FORMERR",
  "SERVFAIL",
  "NXDOMAIN",
  "NOTIMP",
  "REFUSED",
  "YXDOMAIN",
  "YXRRSET",
  "NXRRSET",
  "NOTAUTH",
  "NOTZONE",
] as const;

/** Names that dnsTypeName and dnsRcodeName give to numbers that they know. */
export const DNS_TYPE_NAMES: readonly string[] = [...DNS_TYPES.values()];
export const DNS_RCODE_NAMES: readonly string[] = DNS_RCODES;

/** `tcp`, `arp`, a protocol number, or an EtherType with `0x`. `protocol` counts for IP only. */
export function protocolName(ethertype: number, protocol: number): string {
  if (ethertype === ETHERTYPE_ARP) return "arp";
  if (ethertype !== ETHERTYPE_IPV4 && ethertype !== ETHERTYPE_IPV6)
    return `0x${ethertype.toString(16).padStart(4, "0")}`;
  return IP_PROTOCOLS.get(protocol) ?? String(protocol);
}

export function hasPorts(protocol: number): boolean {
  return WITH_PORTS.has(protocol);
}

export function dnsTypeName(type: number): string {
  return DNS_TYPES.get(type) ?? `TYPE${type}`;
}

export function dnsRcodeName(rcode: number): string {
  return DNS_RCODES[rcode] ?? `RCODE${rcode}`;
}

/** @param name as dnsRcodeName gives it */
export function dnsRcodeNumber(name: string): number {
  const known = (DNS_RCODES as readonly string[]).indexOf(name);
  return known >= 0 ? known : Number(name.replace(/^RCODE/, ""));
}

export function dnsOpcodeName(opcode: number): string {
  return DNS_OPCODES.get(opcode) ?? `OPCODE${opcode}`;
}
