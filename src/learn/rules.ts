/** What one executable did in one direction -> the rules that allow it and nothing that was not seen, each with its evidence. */
import type { FieldPath } from "../api/fields.ts";
import { checkName, nameCovers } from "../api/names.ts";
import type { EgressRules, L4Protocol, L7Protocol, PodPeer, ProtocolPort } from "../api/types.ts";
import { familyOf, formatIp, parseIp } from "../policy/table/addresses.ts";
import { compareText, expandPattern } from "../policy/table/names.ts";
import { PROTOCOL_NUMBERS } from "../policy/table/ports.ts";
import { ADDRESS_BITS, type Family } from "../policy/table/prefixes.ts";
import { type Evidence, unitedEvidence } from "./evidence.ts";
import { addressProposals, type Generalization, nameProposals, type Proposal } from "./generalize.ts";
import type { Observation } from "./recording.ts";

/** What is known of the workload beside its records. */
export interface RuleContext {
  /** Name servers of its resolv.conf: they are written as the peer `resolver`. */
  resolvers: readonly string[];
  /** Of its resolv.conf: what a resolver makes of a listed name is not listed. */
  searchDomains: readonly string[];
  /** Of the workload, which anybody may come to: peers there are written as every address. */
  openPorts: readonly { protocol: string; port: number }[];
  /** How a rule names the pod that has an address; null where it is not known to be a pod's. */
  podAt: (address: string) => PodPeer | null;
  generalize: ReadonlySet<Generalization>;
}

/** A value of a rule's list, and what it rests on. */
export interface RuleEvidence extends Evidence {
  /** Below the rules, such as `["fqdns", 0]`. */
  path: FieldPath;
  /** What was seen, where the rule is wider than that. */
  covers: string[];
}

export interface LearnedRules {
  rules: EgressRules;
  evidence: RuleEvidence[];
  /** Wider forms that were not asked for. */
  proposals: (Proposal & { kind: Generalization })[];
}

/** One value of a list, in the making. */
interface Item<T> {
  value: T;
  evidence: Evidence;
  covers: string[];
}

/** @param observations of one executable in one direction, at least one */
export function rulesOf(observations: readonly Observation[], context: RuleContext): LearnedRules {
  const named = observations.filter(isNamed);
  const asked = items(
    observations.filter(({ question }) => question !== null),
    ({ question }) => question?.name as string,
  );
  const connected = connectedNames(named, new Set(asked.map(({ value }) => value)));
  const unnamed = observations.filter((item) => !named.includes(item));
  const byResolver = unnamed.filter((item) => isResolver(item, context));
  const others = unnamed.filter((item) => !isResolver(item, context));
  const byPod = others.filter((item) => !isOpen(item, context) && context.podAt(item.peer) !== null);
  const addressed = others.filter((item) => !byPod.includes(item));
  const cidrs = (family: Family) =>
    cidrItems(
      addressed.filter(({ peer }) => familyOfPeer(peer) === family),
      family,
      context,
    );
  const lists = new Lists(context.generalize);
  const { connected: fqdns, asked: dns } = lists.widenNames(connected, listedQuestions(asked, connected, context));
  lists.put(["fqdns"], fqdns);
  lists.put(
    ["peers"],
    items(byResolver, () => "resolver" as const),
  );
  lists.put(
    ["pods"],
    items(byPod, ({ peer }) => context.podAt(peer)),
  );
  lists.put(["cidr4"], lists.widenAddresses(cidrs("ipv4"), "ipv4"));
  lists.put(["cidr6"], lists.widenAddresses(cidrs("ipv6"), "ipv6"));
  lists.put(
    ["l4", "protocols"],
    items(
      observations.filter(({ port }) => port === null),
      ({ protocol }) => protocolValue(protocol),
    ),
  );
  lists.put(
    ["l4", "protocolPorts"],
    items(
      observations.filter(({ port }) => port !== null),
      ({ protocol, port }): ProtocolPort => ({ protocol: protocol as ProtocolPort["protocol"], port: port as number }),
    ).sort((one, other) => compareText(one.value.protocol, other.value.protocol) || one.value.port - other.value.port),
  );
  lists.put(["l7", "protocols"], applications(observations));
  const carriesRecords = observations.some(({ question }) => question?.carriesRecords === true);
  const isImplied = dns.every(({ value }) => fqdns.some((pattern) => nameCovers(pattern.value, value)));
  if (!isImplied || carriesRecords) lists.put(["l7", "dns"], joined([...fqdns, ...dns]));
  return lists.learned();
}

/** The rules' lists as they grow, and the evidence of each value. */
class Lists {
  readonly #generalize: ReadonlySet<Generalization>;
  readonly #learned: LearnedRules = { rules: {}, evidence: [], proposals: [] };

  constructor(generalize: ReadonlySet<Generalization>) {
    this.#generalize = generalize;
  }

  /** No list is written that would be empty. */
  put(field: readonly [string] | readonly [string, string], list: readonly Item<unknown>[]): void {
    if (list.length === 0) return;
    const rules = this.#learned.rules as Record<string, unknown>;
    const [outer, inner] = field;
    const values = list.map(({ value }) => value);
    if (inner === undefined) rules[outer] = values;
    else rules[outer] = { ...(rules[outer] as object | undefined), [inner]: values };
    for (const [index, { evidence, covers }] of list.entries()) {
      this.#learned.evidence.push({ path: [...field, index], ...evidence, covers });
    }
  }

  /** Names that are connected to and names that are asked have their wider forms in common. */
  widenNames(connected: Item<string>[], asked: Item<string>[]): { connected: Item<string>[]; asked: Item<string>[] } {
    const names = [...connected, ...asked].map(({ value }) => value);
    const widen = this.#widening("names", nameProposals(names));
    return { connected: widen(connected), asked: widen(asked) };
  }

  widenAddresses(list: Item<string>[], family: Family): Item<string>[] {
    const proposals = addressProposals(
      list.map(({ value }) => value),
      family,
    );
    return this.#widening("addresses", proposals)(list);
  }

  learned(): LearnedRules {
    return this.#learned;
  }

  /** What to do with a list of that kind: nothing where wider forms were not asked for, but they are proposed. */
  #widening(kind: Generalization, proposals: readonly Proposal[]): (list: Item<string>[]) => Item<string>[] {
    if (this.#generalize.has(kind)) return (list) => widened(list, proposals);
    this.#learned.proposals.push(...proposals.map((proposal) => ({ ...proposal, kind })));
    return (list) => list;
  }
}

/** One item for each value, in order of the values. */
function items<T>(observations: readonly Observation[], toValue: (observation: Observation) => T): Item<T>[] {
  const single = observations.map((observation) => ({
    value: toValue(observation),
    evidence: observation.evidence,
    covers: [],
  }));
  return joined(single);
}

const EVERY_ADDRESS: Readonly<Record<Family, string>> = { ipv4: "0.0.0.0/0", ipv6: "::/0" };

/** The peers' addresses, or, where one of them came to an open port, every address: an entry's peers may reach all of its ports. */
function cidrItems(observations: readonly Observation[], family: Family, context: RuleContext): Item<string>[] {
  if (!observations.some((item) => isOpen(item, context)))
    return items(observations, ({ peer }) => `${peer}/${ADDRESS_BITS[family]}`);
  const every = EVERY_ADDRESS[family];
  return joined(observations.map(({ peer, evidence }) => ({ value: every, evidence, covers: [peer] })));
}

function isOpen({ direction, protocol, port }: Observation, { openPorts }: RuleContext): boolean {
  return direction === "ingress" && openPorts.some((open) => open.protocol === protocol && open.port === port);
}

function joined<T>(list: readonly Item<T>[]): Item<T>[] {
  const groups = [...Map.groupBy(list, ({ value }) => JSON.stringify(value))];
  return groups
    .sort(([one], [other]) => compareText(one, other))
    .map(([, same]) => ({
      value: (same[0] as Item<T>).value,
      evidence: unitedEvidence(same.map(({ evidence }) => evidence)),
      covers: [...new Set(same.flatMap(({ covers }) => covers))].sort(compareText),
    }));
}

function widened(list: readonly Item<string>[], proposals: readonly Proposal[]): Item<string>[] {
  return joined(
    list.map((item) => {
      const proposal = proposals.find(({ covers }) => covers.includes(item.value));
      return proposal === undefined ? item : { ...item, value: proposal.pattern, covers: [item.value] };
    }),
  );
}

/** Whether the address was connected to by a name that a profile can list. */
function isNamed({ name }: Observation): boolean {
  return name !== null && checkName(name) === null;
}

/** Whichever name the process asks for first next time, its address is known under all of them. */
function connectedNames(named: readonly Observation[], asked: ReadonlySet<string>): Item<string>[] {
  const all = named.flatMap(({ name, aliases, evidence }) => {
    const names = [name as string, ...aliases.filter((alias) => asked.has(alias) && checkName(alias) === null)];
    return names.map((value) => ({ value, evidence, covers: [] }));
  });
  return joined(all);
}

function isResolver({ direction, peer }: Observation, { resolvers }: RuleContext): boolean {
  return direction === "egress" && resolvers.some((resolver) => canonical(resolver) === peer);
}

function canonical(address: string): string {
  const parsed = parseIp(address);
  return parsed === null ? address : formatIp(parsed);
}

function familyOfPeer(peer: string): Family | null {
  const address = parseIp(peer);
  return address === null ? null : familyOf(address);
}

/** Without those that a resolver asks for on the way to another that is listed. */
function listedQuestions(
  asked: readonly Item<string>[],
  connected: readonly Item<string>[],
  { searchDomains }: RuleContext,
): Item<string>[] {
  const domains = searchDomains.map((domain) => domain.toLowerCase());
  const kept = new Set(connected.map(({ value }) => value));
  const covered = new Set([...kept].flatMap((name) => expandPattern(name, domains)));
  const shortestFirst = asked.toSorted(
    (one, other) => one.value.length - other.value.length || compareText(one.value, other.value),
  );
  for (const { value } of shortestFirst) {
    if (kept.has(value) || covered.has(value)) continue;
    kept.add(value);
    for (const name of expandPattern(value, domains)) covered.add(name);
  }
  return asked.filter(({ value }) => kept.has(value));
}

/** As a profile lists it: protocols without a name by their number. */
function protocolValue(protocol: string): L4Protocol {
  return Object.hasOwn(PROTOCOL_NUMBERS, protocol) ? (protocol as L4Protocol) : Number(protocol);
}

/** Only where every payload was recognised is there a list: it would refuse what was not. */
function applications(observations: readonly Observation[]): Item<L7Protocol>[] {
  if (observations.some(({ application }) => application === null)) return [];
  return items(observations, ({ application }) => application as L7Protocol);
}
