/**
 * The SecurityProfile resource, `security.datadoghq.com/v1`, as written by users.
 * What each field means is in docs/profiles.md; what may stand in it, in schema.ts and validate.ts.
 */

export const API_GROUP = "security.datadoghq.com";
export const API_VERSION = `${API_GROUP}/v1`;
export const KIND = "SecurityProfile";

export const ACTIONS = ["alert", "enforce", "trace-dns", "learn"] as const;
export type Action = (typeof ACTIONS)[number];

/** `enforced`: they are dropped. `watching`: they are reported or counted, and pass. `learning`: nothing is judged. */
export const EFFECTS = ["enforced", "watching", "learning"] as const;
export type Effect = (typeof EFFECTS)[number];

/** Whether a workload's state is that a policy judges it. */
export function isEffect(state: string): state is Effect {
  return (EFFECTS as readonly string[]).includes(state);
}

/** The effect of these actions; the strictest of them decides. */
export function effectOf(actions: readonly Action[]): Effect {
  if (actions.includes("enforce")) return "enforced";
  return actions.includes("learn") && !actions.includes("alert") ? "learning" : "watching";
}

export const ATTACKS = [
  "arp-spoofing",
  "ip-spoofing",
  "ndp-spoofing",
  "dns-spoofing",
  "port-scan",
  "syn-flood",
  "dns-tunnel",
] as const;
export type Attack = (typeof ATTACKS)[number];

export const L3_PROTOCOLS = ["ipv4", "ipv6", "arp"] as const;
export type L3Protocol = (typeof L3_PROTOCOLS)[number];

/** By name, as an IP protocol number 0 to 255, or `any`. */
export const L4_PROTOCOL_NAMES = ["tcp", "udp", "icmp", "icmpv6", "sctp", "igmp", "any"] as const;
export type L4ProtocolName = (typeof L4_PROTOCOL_NAMES)[number];
export type L4Protocol = L4ProtocolName | number;

export const L7_PROTOCOLS = ["dns", "http", "tls", "any"] as const;
export type L7Protocol = (typeof L7_PROTOCOLS)[number];

export const BINARY_MODES = ["Image", "Any"] as const;
export type BinaryMode = (typeof BINARY_MODES)[number];

/** Whether what is listed for every container is for ephemeral ones (`kubectl debug`) too. */
export const EPHEMERAL_MODES = ["Include", "Exclude"] as const;
export type EphemeralMode = (typeof EPHEMERAL_MODES)[number];

export interface ProtocolPort {
  protocol: "tcp" | "udp" | "sctp";
  port: number;
  /** Last port of the range, inclusive; `port` alone where absent. */
  endPort?: number;
}

export interface L3 {
  protocols?: L3Protocol[];
}

export interface L4 {
  protocols?: L4Protocol[];
  protocolPorts?: ProtocolPort[];
}

export interface L7 {
  protocols?: L7Protocol[];
  /** Names that may be asked; egress only. */
  dns?: string[];
}

/** Pods by their labels, as in a NetworkPolicy; host-network and finished pods do not count. */
export interface PodPeer {
  /** Namespaces by their labels; the profile's own where absent. */
  namespaceSelector?: LabelSelector;
  /** Pods of these namespaces; all of them where absent. */
  podSelector?: LabelSelector;
}

/** A Service, which stands for its own addresses and those of its endpoints. */
export interface ServicePeer {
  name: string;
  /** The profile's own where absent. */
  namespace?: string;
}

/** Peers that each workload has its own addresses of. `resolver`: the name servers of its resolv.conf. */
export const NAMED_PEERS = ["resolver"] as const;
export type NamedPeer = (typeof NAMED_PEERS)[number];

export interface IngressRules {
  cidr4?: string[];
  cidr6?: string[];
  pods?: PodPeer[];
  l3?: L3;
  l4?: L4;
  l7?: L7;
}

export interface EgressRules extends IngressRules {
  /** Names whose addresses may be connected to. */
  fqdns?: string[];
  services?: ServicePeer[];
  peers?: NamedPeer[];
}

export interface Network {
  egress?: EgressRules;
  ingress?: IngressRules;
}

/** The highest user id: the one above it means none. */
export const MAX_USER = 4_294_967_294;

export interface ProcessRules {
  /** Absolute path inside the container. */
  path: string;
  /** Only in this container of the pod; in every container where absent. */
  container?: string;
  binary?: BinaryMode;
  /** Only where one of these executables led to the process. */
  ancestors?: string[];
  /** Only where none of these did. */
  notAncestors?: string[];
  /** Only with one of these effective user ids. */
  users?: number[];
  network?: Network;
}

export interface LabelSelectorRequirement {
  key: string;
  operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  values?: string[];
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: LabelSelectorRequirement[];
}

export interface SecurityProfileSpec {
  labelSelector?: LabelSelector;
  actions?: Action[];
  attacks?: Attack[];
  ephemeralContainers?: EphemeralMode;
  /** Traffic that belongs to no listed process; absent: neighbour discovery only. */
  default?: Network;
  processes?: ProcessRules[];
}

export interface SecurityProfile {
  apiVersion: typeof API_VERSION;
  kind: typeof KIND;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    generation?: number;
    [key: string]: unknown;
  };
  spec: SecurityProfileSpec;
}
