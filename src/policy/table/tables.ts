/**
 * Rule tables: what a workload's profiles come to, in the shape in which the kernel looks things up
 * (bpf/include/abi/rules.h). Pure data, JSON-serialisable but for the bigint masks (see `serializeTable`).
 */
import type { Action, Attack, EphemeralMode } from "../../api/types.ts";

/** Blocks of a rule set, one bit each, bit n for `blocks[n]`. At most 64. */
export type BlockMask = bigint;
export const MAX_BLOCKS = 64;

/** Where a block comes from: one `processes[]` entry, or the `default`, of one profile. */
export interface BlockOrigin {
  /** `namespace/name` of the profile. */
  profile: string;
  /** Field of the profile, e.g. `spec.processes[0].network.egress`. */
  field: string;
}

export interface PeerRule {
  /** Network address, canonical text, host bits cleared. */
  address: string;
  prefixLength: number;
  mask: BlockMask;
}

/** A prefix over (protocol, port). */
export interface PortRule {
  /** IP protocol number; null matches every protocol (portPrefix is 0 then). */
  protocol: number | null;
  /** First port of the prefix. */
  port: number;
  /** 0 to 16 bits of the port that count. */
  portPrefix: number;
  mask: BlockMask;
}

export interface NameRule {
  /** Reversed text as in `struct name_key`: "www.example.com" is "moc.elpmaxe.www.", "*" is "". */
  text: string;
  exactAsk: BlockMask;
  exactConnect: BlockMask;
  belowAsk: BlockMask;
  belowConnect: BlockMask;
}

/** Blocks by one executable that led to a process. */
export interface AncestorRule {
  path: string;
  /** Blocks that hold where it did. */
  below: BlockMask;
  /** Blocks that do not. */
  notBelow: BlockMask;
}

/** Blocks that hold for one effective user id. */
export interface UserRule {
  user: number;
  mask: BlockMask;
}

export interface Ruleset {
  /** Content hash, hex; two rule sets with one hash are one rule set in the kernel. "" is the empty one. */
  hash: string;
  blocks: BlockOrigin[];
  ethertype: { ipv4: BlockMask; ipv6: BlockMask; arp: BlockMask };
  peers4: PeerRule[];
  peers6: PeerRule[];
  ports: PortRule[];
  anyApplication: BlockMask;
  application: { dns: BlockMask; http: BlockMask; tls: BlockMask };
  askAny: BlockMask;
  /** Blocks whose questions may carry records of the sender's: those with `l7.dns`, and those that let any name be asked. */
  askRecords: BlockMask;
  fqdn: BlockMask;
  anyBinary: BlockMask;
  /** Sorted by path. */
  ancestors: AncestorRule[];
  /** Sorted by number. */
  users: UserRule[];
  names: NameRule[];
}

export interface BinaryRules {
  path: string;
  /** Container name, null: any container that no other entry of this path names. */
  container: string | null;
  egress: Ruleset;
  ingress: Ruleset;
}

export interface RuleTable {
  /** Content hash, hex. */
  hash: string;
  /** `namespace/name` of the profiles, sorted. */
  profiles: string[];
  actions: Action[];
  attacks: Attack[];
  /** `Exclude` where one of the profiles says so. */
  ephemeralContainers: EphemeralMode;
  /** null: no profile has a `default`; only neighbour discovery for the workload's own addresses passes. */
  default: { egress: Ruleset; ingress: Ruleset } | null;
  /** Index + 1 is the binary id in the kernel; 0 is `default`. */
  binaries: BinaryRules[];
}
