/** Why a packet was judged as it was: the closed list that kernel, events, metrics, status and docs share. */
export const REASONS = [
  "Allowed",
  "Pending",
  "Ethertype",
  "Peer",
  "Port",
  "Application",
  "DnsName",
  "DnsMalformed",
  "Fragment",
  "Malformed",
  "BinaryUnknown",
  "BinaryModified",
  "Unattributed",
  "Listen",
  "ArpSpoofing",
  "IpSpoofing",
  "NdpSpoofing",
  "DnsSpoofing",
  "Capacity",
] as const;

/** The index in the list is the number that the kernel uses (`enum reason` in bpf/include/abi.h). */
export type Reason = (typeof REASONS)[number];

/** What is wrong with what is no DNS message, beside the reason `DnsMalformed`; docs/dns.md says it in sentences. */
export const DNS_FAULTS = [
  "none",
  "header",
  "opcode",
  "counts",
  "name",
  "class",
  "record",
  "options",
  "padding",
  "trailing",
  "direction",
  "cut",
  "length",
  "gap",
] as const;

/** The index in the list is the number that the kernel uses (`enum dns_fault` in bpf/include/abi.h). */
export type DnsFault = (typeof DNS_FAULTS)[number];

/** What happened to a packet; `counted` is a violation under a profile without actions. */
export const VERDICTS = ["allowed", "alerted", "dropped", "counted"] as const;
export type Verdict = (typeof VERDICTS)[number];

export const DIRECTIONS = ["egress", "ingress"] as const;
export type Direction = (typeof DIRECTIONS)[number];
