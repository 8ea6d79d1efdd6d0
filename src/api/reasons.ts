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

/** What happened to a packet; `counted` is a violation under a profile without actions. */
export const VERDICTS = ["allowed", "alerted", "dropped", "counted"] as const;
export type Verdict = (typeof VERDICTS)[number];

export const DIRECTIONS = ["egress", "ingress"] as const;
export type Direction = (typeof DIRECTIONS)[number];
