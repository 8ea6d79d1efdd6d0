/**
 * Blocks: one direction of one `processes[]` entry, or of the `default`, of one profile, with everything that the
 * language leaves implicit made explicit. Rule sets are unions of blocks; `explain` shows them one by one.
 */
import type { Direction } from "../../api/reasons.ts";
import type { EgressRules, IngressRules, L3Protocol, L4Protocol, L7Protocol, Network } from "../../api/types.ts";
import { familyAddress, familyOf, parseIp } from "./addresses.ts";
import { CompileError } from "./errors.ts";
import { compareText, expandPattern, type NameGrant } from "./names.ts";
import { CLUSTER_DNS, describePodPeer, describeServicePeer, type PeerPrefixes, type PeerResolver } from "./peers.ts";
import { PORT_MAX, PROTOCOL_NUMBERS } from "./ports.ts";
import { ADDRESS_BITS, type Family, type Prefix, parsePrefix } from "./prefixes.ts";
import type { BlockOrigin } from "./tables.ts";

/** A range of ports of one protocol, all of it, or (null) every protocol. */
export interface PortRange {
  protocol: number | null;
  first: number;
  last: number;
}

/** A selected peer, and the addresses that it stands for at this moment. */
export interface SelectedPeer extends PeerPrefixes {
  /** Field below the block's own, e.g. `pods[0]`. */
  field: string;
  /** In words, equal for equal selectors. */
  text: string;
}

/** What an entry asks of a process beside its executable; an empty list asks nothing. Sorted, without repetition. */
export interface Conditions {
  ancestors: readonly string[];
  notAncestors: readonly string[];
  users: readonly number[];
}

export const NO_CONDITIONS: Conditions = Object.freeze({ ancestors: [], notAncestors: [], users: [] });

/** Whether it asks anything. */
export function isConditional({ ancestors, notAncestors, users }: Conditions): boolean {
  return ancestors.length + notAncestors.length + users.length > 0;
}

export interface Block {
  origin: BlockOrigin;
  /** EtherTypes that pass: as listed, else as the destinations imply. */
  families: L3Protocol[];
  cidrs4: Prefix[];
  cidrs6: Prefix[];
  /** Pods, services and the resolver. */
  selected: SelectedPeer[];
  ports: PortRange[];
  /** Null: the payload is not looked at. */
  applications: Exclude<L7Protocol, "any">[] | null;
  /** Patterns that may be asked, search-domain expansions included; null: any name. */
  ask: string[] | null;
  /** Its names were listed as ones to ask for, not only to connect to, or any may be asked: questions may carry records. */
  askRecords: boolean;
  /** Patterns whose addresses may be connected to. */
  connect: string[];
  /** `binary: Any`: a changed binary has these rights too. */
  anyBinary: boolean;
  /** What has to be so of the process. */
  conditions: Conditions;
  /** For explanations: the fields that the implicit parts come from, below the block's own, and the names of `ask` as they are listed. */
  sources: { families: string; ask: string; names: readonly string[] };
}

/** Where a block stands and what its entry says beside the rules. */
export interface BlockContext {
  profile: string;
  /** Namespace of the profile. */
  namespace: string;
  /** Field of the entry, e.g. `spec.processes[0].network`. */
  field: string;
  anyBinary: boolean;
  conditions: Conditions;
  searchDomains: string[];
  /** Addresses of the name servers in the workload's resolv.conf. */
  resolvers: readonly string[];
  /** Absent where nobody knows the cluster. */
  peers?: PeerResolver | undefined;
  /** See CompileOptions. */
  maxRules?: number | undefined;
}

/**
 * The block of one direction; null where the profile says nothing of it, which allows nothing.
 * @throws CompileError where peers are selected that nobody can resolve, or names come to too many
 */
export function blockOf(network: Network | undefined, direction: Direction, context: BlockContext): Block | null {
  const rules: EgressRules | undefined = network?.[direction];
  if (rules === undefined) return null;
  const fqdns = direction === "egress" ? (rules.fqdns ?? []) : [];
  return {
    origin: { profile: context.profile, field: `${context.field}.${direction}` },
    families: familiesOf(rules, fqdns),
    cidrs4: (rules.cidr4 ?? []).map((cidr) => parsePrefix(cidr, "ipv4")),
    cidrs6: (rules.cidr6 ?? []).map((cidr) => parsePrefix(cidr, "ipv6")),
    selected: [...selectedPeers(rules, direction, context), ...namedPeers(rules, direction, context)],
    ports: portsOf(rules),
    applications: applicationsOf(rules),
    ask: direction === "egress" ? askOf(rules, fqdns, context) : null,
    askRecords: rules.l7?.dns !== undefined || fqdns.length === 0,
    connect: distinct(fqdns),
    anyBinary: context.anyBinary,
    conditions: context.conditions,
    sources: {
      families: rules.l3?.protocols === undefined ? "l3 (implied)" : "l3.protocols",
      ask: rules.l7?.dns !== undefined ? "l7.dns" : "fqdns",
      names: rules.l7?.dns ?? fqdns,
    },
  };
}

/**
 * The block as text that is equal for equal meaning: lists sorted and without repetition, the origin left out.
 * It decides the order of a rule set's blocks, so that the order of profiles and lists does not matter.
 */
export function blockContent(block: Block): string {
  const prefixes = (list: Prefix[]) =>
    distinct(list.map((prefix) => `${prefix.address.toString(16)}/${prefix.length}`));
  return JSON.stringify([
    distinct(block.families),
    prefixes(block.cidrs4),
    prefixes(block.cidrs6),
    // Not their addresses: the order of blocks, and so the meaning of bits, stays as these come and go.
    distinct(block.selected.map(({ text }) => text)),
    distinct(block.ports.map((range) => `${range.protocol ?? "any"}:${range.first}-${range.last}`)),
    block.applications && distinct(block.applications),
    block.ask,
    block.askRecords,
    block.connect,
    block.anyBinary,
    block.conditions,
  ]);
}

/** How many rules the block is, before any are united: what it costs to compile. */
export function rulesOf({ cidrs4, cidrs6, selected, ports, ask, connect, conditions }: Block): number {
  const peers = selected.reduce((sum, peer) => sum + peer.cidrs4.length + peer.cidrs6.length, 0);
  const asked = conditions.ancestors.length + conditions.notAncestors.length + conditions.users.length;
  return cidrs4.length + cidrs6.length + peers + ports.length + (ask?.length ?? 0) + connect.length + asked;
}

/** What a block says about names, for `flattenNames`; `mask` is the block's bit. */
export function nameGrants(block: Block, mask: bigint): NameGrant[] {
  return [
    ...(block.ask ?? []).map((pattern) => ({ pattern, mask, ask: true, connect: false })),
    ...block.connect.map((pattern) => ({ pattern, mask, ask: false, connect: true })),
  ];
}

/** `l3.protocols` where it is there; else what the destinations imply, and without any both, so that no peer is the reason. */
function familiesOf(rules: IngressRules, fqdns: string[]): L3Protocol[] {
  if (rules.l3?.protocols !== undefined) return distinct(rules.l3.protocols);
  // What comes by name or by selector may have either family, now or later.
  const { pods, services, peers }: EgressRules = rules;
  const isOpen = [fqdns, pods, services, peers].some((list) => (list ?? []).length > 0);
  const has4 = (rules.cidr4 ?? []).length > 0 || isOpen;
  const has6 = (rules.cidr6 ?? []).length > 0 || isOpen;
  if (!has4 && !has6) return ["ipv4", "ipv6"];
  return [...(has4 ? (["ipv4"] as const) : []), ...(has6 ? (["ipv6"] as const) : [])];
}

function selectedPeers(rules: EgressRules, direction: Direction, context: BlockContext): SelectedPeer[] {
  const pods = rules.pods ?? [];
  const services = direction === "egress" ? (rules.services ?? []) : [];
  if (pods.length === 0 && services.length === 0) return [];
  const { peers, namespace } = context;
  if (peers === undefined) {
    const field = `${context.field}.${direction}.${pods.length > 0 ? "pods" : "services"}`;
    throw new CompileError(
      `${context.profile}: ${field}: without a cluster nobody knows these addresses; list them under cidr4 or cidr6`,
    );
  }
  return [
    ...pods.map((peer, index) => ({
      field: `pods[${index}]`,
      text: describePodPeer(peer, namespace),
      ...peers.pods(peer, namespace),
    })),
    ...services.map((peer, index) => ({
      field: `services[${index}]`,
      text: describeServicePeer(peer, namespace),
      ...peers.service(peer, namespace),
    })),
  ];
}

/** `resolver`: what the workload's resolv.conf names, and what the cluster has for all. */
function namedPeers({ peers = [] }: EgressRules, direction: Direction, context: BlockContext): SelectedPeer[] {
  if (direction === "ingress") return [];
  const { resolvers, peers: cluster, namespace } = context;
  return peers.map((text, index) => {
    const { cidrs4, cidrs6 } = cluster?.service(CLUSTER_DNS, namespace) ?? { cidrs4: [], cidrs6: [] };
    const own = resolvers.map(parseIp).filter((address) => address !== null);
    const ofFamily = (family: Family) =>
      own
        .filter((address) => familyOf(address) === family)
        .map((address) => ({ address: familyAddress(address, family), length: ADDRESS_BITS[family] }));
    return {
      field: `peers[${index}]`,
      text,
      cidrs4: [...ofFamily("ipv4"), ...cidrs4],
      cidrs6: [...ofFamily("ipv6"), ...cidrs6],
    };
  });
}

function portsOf(rules: IngressRules): PortRange[] {
  const whole = (rules.l4?.protocols ?? []).map((protocol) => ({
    protocol: protocolNumber(protocol),
    first: 0,
    last: PORT_MAX,
  }));
  const ranges = (rules.l4?.protocolPorts ?? []).map(({ protocol, port, endPort }) => ({
    protocol: PROTOCOL_NUMBERS[protocol],
    first: port,
    last: endPort ?? port,
  }));
  return [...whole, ...ranges];
}

function protocolNumber(protocol: L4Protocol): number | null {
  if (protocol === "any") return null;
  return typeof protocol === "number" ? protocol : PROTOCOL_NUMBERS[protocol];
}

function applicationsOf(rules: IngressRules): Block["applications"] {
  const protocols = rules.l7?.protocols;
  if (protocols === undefined) return null;
  const named = protocols.filter((protocol) => protocol !== "any");
  return named.length < protocols.length ? null : distinct(named);
}

/** `l7.dns` where it is there, be it empty; else the names of `fqdns`; else (null) any name. */
function askOf(
  rules: EgressRules,
  fqdns: string[],
  { profile, field, searchDomains, maxRules = Number.POSITIVE_INFINITY }: BlockContext,
): string[] | null {
  const listed = rules.l7?.dns ?? (fqdns.length > 0 ? fqdns : null);
  if (listed === null) return null;
  const asked = new Set<string>();
  for (const pattern of listed) {
    for (const name of [pattern, ...expandPattern(pattern, searchDomains)]) asked.add(name);
    if (asked.size > maxRules) throw new CompileError(tooManyNames(`${profile}: ${field}`, searchDomains, maxRules));
  }
  return [...asked].sort(compareText);
}

function tooManyNames(place: string, searchDomains: readonly string[], maxRules: number): string {
  return (
    `${place}: the names come to more than ${maxRules} with the workload's ${searchDomains.length} search domains, ` +
    "which is the most that can be compiled; list fewer names, or give the pods a shorter search list (dnsConfig)"
  );
}

function distinct<T extends string>(values: readonly T[]): T[] {
  return [...new Set(values)].sort(compareText);
}
