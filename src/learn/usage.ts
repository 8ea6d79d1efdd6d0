/** Which of a profile's values were used by what was recorded: the rest are rights that nobody needs, or needs seldom. */
import type { FieldPath } from "../api/fields.ts";
import { nameCovers } from "../api/names.ts";
import { DEFAULT_NAMESPACE } from "../api/normalize.ts";
import type { EgressRules, PodPeer, ProcessRules, ProtocolPort, SecurityProfile } from "../api/types.ts";
import { familyAddress, familyOf, parseIp } from "../policy/table/addresses.ts";
import { protocolNumber } from "../policy/table/ports.ts";
import { ADDRESS_BITS, contains, type Family, parsePrefix } from "../policy/table/prefixes.ts";
import { type Evidence, unitedEvidence } from "./evidence.ts";
import type { PodAddresses } from "./pod-addresses.ts";
import type { Observation } from "./recording.ts";

/** A value of a list of one entry, and what used it. */
export interface UsedValue {
  path: FieldPath;
  /** As people read it: `443/tcp`. */
  text: string;
  /** Null: nothing did. `unknown`: records do not tell. */
  evidence: Evidence | "unknown" | null;
}

export interface UsedProcess {
  path: string;
  container: string | null;
  values: UsedValue[];
}

/** What is known beside the observations. */
export interface Circumstances {
  /** Addresses that the peer `resolver` means. */
  resolvers: readonly string[];
  pods: PodAddresses;
}

/** Whether a peer means an address. */
interface PeerMeaning {
  resolver: (address: string) => boolean;
  pods: (peer: PodPeer, address: string) => boolean;
}

/**
 * Whether a value matches does not depend on the others: a peer counts as used although it was reached on a port that is not listed.
 */
export function usage(
  profile: SecurityProfile,
  observations: readonly Observation[],
  circumstances: Circumstances,
): UsedProcess[] {
  const namespace = profile.metadata.namespace ?? DEFAULT_NAMESPACE;
  const meaning: PeerMeaning = {
    resolver: (address) => circumstances.resolvers.includes(address),
    pods: (peer, address) => circumstances.pods.means(peer, namespace, address) === true,
  };
  return (profile.spec.processes ?? []).map((entry, index) => ({
    path: entry.path,
    container: entry.container ?? null,
    values: (["egress", "ingress"] as const).flatMap((direction) => {
      const rules: EgressRules | undefined = entry.network?.[direction];
      const own = observations.filter((one) => one.direction === direction && isOf(entry, one));
      const place = ["spec", "processes", index, "network", direction];
      return rules === undefined ? [] : usedValues(rules, own, meaning, place);
    }),
  }));
}

function isOf({ path, container }: ProcessRules, { subject }: Observation): boolean {
  if (subject === null || (container !== undefined && container !== subject.container)) return false;
  return path === subject.script || path === subject.path;
}

/** Made once for each value, asked for each observation. */
type Matches<T> = (value: T) => (observation: Observation) => boolean;

function usedValues(
  { fqdns, peers, pods, services, cidr4, cidr6, l4, l7 }: EgressRules,
  observations: readonly Observation[],
  meaning: PeerMeaning,
  place: FieldPath,
): UsedValue[] {
  const list = <T>(field: readonly string[], values: readonly T[] | undefined, matches: Matches<T>) =>
    (values ?? []).map((value, index): UsedValue => {
      const using = observations.filter(matches(value)).map(({ evidence }) => evidence);
      const evidence = using.length === 0 ? null : unitedEvidence(using);
      return { path: [...place, ...field, index], text: valueText(value), evidence };
    });
  /** Of peers whose addresses are known in part. */
  const known = <T>(field: string, values: readonly T[] | undefined, matches: Matches<T>) =>
    list([field], values, matches).map((value) => ({ ...value, evidence: value.evidence ?? ("unknown" as const) }));
  // Where `l7.dns` is absent, the names that may be connected to are those that may be asked for.
  const asksByFqdns = l7?.dns === undefined;
  return [
    ...list(
      ["fqdns"],
      fqdns,
      (pattern) =>
        ({ name, question }) =>
          covers(pattern, name) || (asksByFqdns && covers(pattern, question?.name ?? null)),
    ),
    ...list(
      ["peers"],
      peers,
      () =>
        ({ peer }) =>
          meaning.resolver(peer),
    ),
    ...list(["cidr4"], cidr4, within("ipv4")),
    ...list(["cidr6"], cidr6, within("ipv6")),
    ...known(
      "pods",
      pods,
      (value) =>
        ({ peer }) =>
          meaning.pods(value, peer),
    ),
    ...known("services", services, () => () => false),
    ...list(
      ["l4", "protocols"],
      l4?.protocols,
      (value) =>
        ({ protocol }) =>
          value === "any" || protocolNumber(String(value)) === protocolNumber(protocol),
    ),
    ...list(["l4", "protocolPorts"], l4?.protocolPorts, isPort),
    // An application is known of few records; where it is not, it may be any of those that are listed.
    ...list(
      ["l7", "protocols"],
      l7?.protocols,
      (value) =>
        ({ application }) =>
          value === "any" || application === null || application === value,
    ),
    ...list(
      ["l7", "dns"],
      l7?.dns,
      (pattern) =>
        ({ name, question }) =>
          covers(pattern, name) || covers(pattern, question?.name ?? null),
    ),
  ];
}

function covers(pattern: string, name: string | null): boolean {
  return name !== null && nameCovers(pattern, name);
}

function within(family: Family): Matches<string> {
  return (cidr) => {
    const prefix = parsePrefix(cidr, family);
    return ({ peer }) => {
      const address = parseIp(peer);
      if (address === null || familyOf(address) !== family) return false;
      return contains(prefix, { address: familyAddress(address, family), length: ADDRESS_BITS[family] }, family);
    };
  };
}

function isPort({ protocol, port, endPort = port }: ProtocolPort): (observation: Observation) => boolean {
  return (observation) =>
    observation.port !== null &&
    protocol === observation.protocol &&
    port <= observation.port &&
    observation.port <= endPort;
}

function valueText(value: unknown): string {
  if (typeof value !== "object") return String(value);
  if (value === null || !("port" in value)) return JSON.stringify(value);
  const { protocol, port, endPort = port } = value as ProtocolPort;
  return endPort === port ? `${port}/${protocol}` : `${port}-${endPort}/${protocol}`;
}

/** The profile without the values that nothing used; an entry or direction of which nothing is left goes, too. */
export function narrowed(profile: SecurityProfile, processes: readonly UsedProcess[]): SecurityProfile {
  const copy = structuredClone(profile);
  // Entries that had something in common are to have it each for itself.
  copy.spec.processes = (profile.spec.processes ?? []).map((entry) => structuredClone(entry));
  const unused = processes.flatMap(({ values }) => values.filter(({ evidence }) => evidence === null));
  // From behind, so that places in front stay what they are.
  for (const { path } of unused.toReversed()) removeAt(copy, path);
  for (const { network } of copy.spec.processes) {
    for (const direction of ["egress", "ingress"] as const) {
      const rules: EgressRules | undefined = network?.[direction];
      if (network !== undefined && rules !== undefined && isUseless(rules)) delete network[direction];
    }
  }
  copy.spec.processes = copy.spec.processes.filter(
    ({ network }, index) =>
      profile.spec.processes?.[index]?.network === undefined || Object.keys(network ?? {}).length > 0,
  );
  return copy;
}

function removeAt(root: unknown, path: FieldPath): void {
  const at = (keys: FieldPath) =>
    keys.reduce<unknown>((node, key) => (node as Record<string | number, unknown>)[key], root);
  const list = at(path.slice(0, -1)) as unknown[];
  list.splice(path.at(-1) as number, 1);
  const name = path.at(-2) as string;
  if (list.length > 0 || KEPT_EMPTY.has(name)) return;
  const rules = at(path.slice(0, -2)) as EgressRules & Record<string, unknown>;
  delete rules[name];
  // Without any name that may be connected to, every name might be asked for.
  if (name === "fqdns" && rules.l7?.dns === undefined) rules.l7 = { ...rules.l7, dns: [] };
}

/** Lists that allow nothing while they are there empty, and everything where they are absent. */
const KEPT_EMPTY: ReadonlySet<string> = new Set(["dns"]);

/** Without peers, or without ports, nothing passes. */
function isUseless({ fqdns, peers, pods, services, cidr4, cidr6, l4 }: EgressRules): boolean {
  const isEmpty = (list: readonly unknown[] | undefined) => (list ?? []).length === 0;
  const hasPeer = ![fqdns, peers, pods, services, cidr4, cidr6].every(isEmpty);
  return !hasPeer || (isEmpty(l4?.protocols) && isEmpty(l4?.protocolPorts));
}
