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
  "Ancestry",
  "User",
] as const;

/** The index in the list is the number that the kernel uses (`enum reason` in bpf/include/abi/verdicts.h). */
export type Reason = (typeof REASONS)[number];

/** A reason in words, for people; docs/reasons.md has a section for each. */
export const REASON_WORDS: Readonly<Record<Reason, string>> = {
  Allowed: "a rule allows it",
  Pending: "the workload is new, and its profiles are not known yet",
  Ethertype: "no rule of this process allows this layer 3 protocol",
  Peer: "no rule of this process allows this address",
  Port: "no rule of this process allows this port with this peer",
  Application: "the first bytes are not of an application protocol that the rule allows",
  DnsName: "no rule of this process allows to ask for this name",
  DnsMalformed: "on a DNS port, but no DNS message that can be read",
  Fragment: "a fragment whose first fragment was not allowed or not seen",
  Malformed: "headers that cannot be read",
  BinaryUnknown: "no profile lists this executable",
  BinaryModified: "the executable is listed, but was changed after its container started",
  Unattributed: "it belongs to no process",
  Listen: "no rule allows this process to be connected to at this port",
  ArpSpoofing: "ARP that claims an address of another",
  IpSpoofing: "the source address is not the pod's",
  NdpSpoofing: "IPv6 neighbour discovery that claims an address of another",
  DnsSpoofing: "a DNS answer that nobody asked for",
  Capacity: "a table of the kernel was full",
  Ancestry: "the executable is listed, but not where these executables led to it",
  User: "the executable is listed, but not for this user",
};

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
] as const;

/** The index in the list is the number that the kernel uses (`enum dns_fault` in bpf/include/abi/dns.h). */
export type DnsFault = (typeof DNS_FAULTS)[number];

/** What happened to a packet; `counted` is a violation under a profile without actions. */
export const VERDICTS = ["allowed", "alerted", "dropped", "counted"] as const;
export type Verdict = (typeof VERDICTS)[number];

export const DIRECTIONS = ["egress", "ingress"] as const;
export type Direction = (typeof DIRECTIONS)[number];
