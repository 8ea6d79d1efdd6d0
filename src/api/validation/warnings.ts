/** What a valid profile says and its author may not have meant. All are about the normalised profile. */
import type { Finding } from "../fields.ts";
import { selectingLabels } from "../labels.ts";
import type { EgressRules, L4Protocol, SecurityProfile } from "../types.ts";
import { type PlacedRules, placedRules } from "../written-profile.ts";
import { NameCover } from "./name-cover.ts";
import type { Located } from "./structure.ts";
import { neighbourWarnings } from "./warnings-neighbours.ts";

export function profileWarnings(profile: SecurityProfile): Located[] {
  return [
    ...selectorWarnings(profile),
    ...neighbourWarnings(profile),
    ...placedRules(profile).flatMap((placed) => [
      ...neverMatches(placed),
      ...redundantPorts(placed),
      ...(placed.direction === "egress" ? nameWarnings(placed) : []),
    ]),
  ];
}

function selectorWarnings({ metadata, spec }: SecurityProfile): Located[] {
  const code = "PC_SELECTS_NOTHING";
  const remedy = "add matchLabels or matchExpressions";
  if (spec.labelSelector) {
    const { matchLabels = {}, matchExpressions = [] } = spec.labelSelector;
    if (Object.keys(matchLabels).length > 0 || matchExpressions.length > 0) return [];
    const message = "has no condition, so the profile selects no pod (it never means every pod)";
    return [{ path: ["spec", "labelSelector"], finding: { code, message, remedy } }];
  }
  if (Object.keys(selectingLabels(metadata.labels)).length > 0) return [];
  const message = "has no label that says which pods are meant, and there is no spec.labelSelector: no pod is selected";
  const finding: Finding = { code, message, remedy: "set spec.labelSelector, or the pods' labels on the profile" };
  return [{ path: ["metadata", "labels"], finding }];
}

type Rules = PlacedRules<EgressRules>;

const hasEntries = (list: readonly unknown[] | undefined): boolean => (list ?? []).length > 0;

/** Peers whose addresses, of either family, are found out as they come. */
function hasSelectedPeers({ pods, services, peers }: EgressRules): boolean {
  return hasEntries(pods) || hasEntries(services) || hasEntries(peers);
}

function never(path: (string | number)[], message: string, remedy: string): Located {
  return { path, finding: { code: "PC_NEVER_MATCHES", message, remedy } };
}

/** Layers that stand alone, and families and protocols that exclude each other. */
function neverMatches({ path, direction, rules }: Rules): Located[] {
  const hasPeer =
    hasEntries(rules.cidr4) || hasEntries(rules.cidr6) || hasEntries(rules.fqdns) || hasSelectedPeers(rules);
  const hasPort = hasEntries(rules.l4?.protocols) || hasEntries(rules.l4?.protocolPorts);
  const peerFields = direction === "egress" ? "cidr4, cidr6, fqdns, pods, services or peers" : "cidr4, cidr6 or pods";
  const found: Located[] = [];
  if (hasPort && !hasPeer) {
    found.push(never([...path, "l4"], "allows ports, but no peer is listed, so nothing passes", `add ${peerFields}`));
  }
  if (hasPeer && !hasPort) {
    found.push(never(path, "lists peers, but no protocol or port, so nothing passes", "add l4"));
  }
  return [...found, ...unusedFamilies(path, rules), ...unusedProtocols(path, rules)];
}

function unusedFamilies(path: (string | number)[], rules: EgressRules): Located[] {
  const protocols = rules.l3?.protocols ?? [];
  if (hasEntries(rules.fqdns) || hasSelectedPeers(rules)) return [];
  if (!(hasEntries(rules.cidr4) || hasEntries(rules.cidr6))) return [];
  return (["ipv4", "ipv6"] as const).flatMap((family) => {
    const list = family === "ipv4" ? "cidr4" : "cidr6";
    const index = protocols.indexOf(family);
    if (index < 0 || hasEntries(rules[list])) return [];
    const message = `allows ${family}, but no ${family} peer is listed, so none passes`;
    return [never([...path, "l3", "protocols", index], message, `add ${list}, or take ${family} away`)];
  });
}

const FAMILY_OF_PROTOCOL: Readonly<Record<string, "ipv4" | "ipv6">> = { icmp: "ipv4", igmp: "ipv4", icmpv6: "ipv6" };

/** ICMP over IPv6 only, and the like. */
function unusedProtocols(path: (string | number)[], rules: EgressRules): Located[] {
  const families = familiesOf(rules);
  return (rules.l4?.protocols ?? []).flatMap((protocol, index) => {
    const family = FAMILY_OF_PROTOCOL[String(protocol)];
    if (family === undefined || families.has(family)) return [];
    const message = `allows ${protocol}, which goes over ${family}, but ${family} is not allowed`;
    return [never([...path, "l4", "protocols", index], message, `allow ${family} as well, or take ${protocol} away`)];
  });
}

/** EtherTypes of IP that the rules let pass; without any destination that is not the question. */
function familiesOf(rules: EgressRules): Set<string> {
  if (rules.l3?.protocols) return new Set(rules.l3.protocols);
  if (hasEntries(rules.fqdns) || hasSelectedPeers(rules)) return new Set(["ipv4", "ipv6"]);
  const families = new Set<string>();
  if (hasEntries(rules.cidr4)) families.add("ipv4");
  if (hasEntries(rules.cidr6)) families.add("ipv6");
  return families.size === 0 ? new Set(["ipv4", "ipv6"]) : families;
}

/** A protocol that is allowed on every port makes its single ports void, which hardly anybody means. */
function redundantPorts({ path, rules }: Rules): Located[] {
  const protocols: readonly L4Protocol[] = rules.l4?.protocols ?? [];
  return (rules.l4?.protocolPorts ?? []).flatMap(({ protocol, port }, index) => {
    const whole = protocols.find((listed) => listed === "any" || listed === protocol);
    if (whole === undefined) return [];
    const message = `${protocol} ${port} limits nothing, because l4.protocols allows ${whole} on every port`;
    const remedy = `take ${whole} off l4.protocols, or this entry away`;
    const finding: Finding = { code: "PC_PORT_REDUNDANT", message, remedy };
    return [{ path: [...path, "l4", "protocolPorts", index], finding }];
  });
}

function nameWarnings(placed: Rules): Located[] {
  return [...singleLabels(placed), ...emptyDns(placed), ...unaskable(placed), ...unresolvable(placed)];
}

/** Resolvers ask for `pong.ns.svc.cluster.local`; its answer says nothing of a bare `pong`. */
function singleLabels({ path, rules }: Rules): Located[] {
  return (rules.fqdns ?? []).flatMap((name, index) => {
    if (name === "*" || name.includes(".")) return [];
    const message = `"${name}" has one label only, and resolvers complete such a name before they ask`;
    const remedy = `list the full name, e.g. ${name}.default.svc.cluster.local`;
    return [{ path: [...path, "fqdns", index], finding: { code: "PC_NAME_SINGLE_LABEL", message, remedy } }];
  });
}

function emptyDns({ path, rules }: Rules): Located[] {
  if (rules.l7?.dns === undefined || rules.l7.dns.length > 0) return [];
  const message = "lists nothing, so that no name may be asked";
  return [never([...path, "l7", "dns"], message, "list names, or take it away if those in fqdns are meant")];
}

/** Names whose answers can never be learned, because they may not be asked. */
function unaskable({ path, rules }: Rules): Located[] {
  const ask = rules.l7?.dns;
  if (ask === undefined) return [];
  const asked = new NameCover(ask);
  return (rules.fqdns ?? []).flatMap((name, index) => {
    // A wildcard in fqdns is covered by any of the names below it: part of it can be learned.
    if (asked.covers(name) || asked.hasBelow(name)) return [];
    const message = `"${name}" may be connected to but not asked for, so its addresses are never learned`;
    return [never([...path, "fqdns", index], message, "add it to l7.dns")];
  });
}

const DNS_PORT = 53;

/** Names without a way to a resolver. */
function unresolvable({ path, rules }: Rules): Located[] {
  if (!hasEntries(rules.fqdns) && !hasEntries(rules.l7?.dns)) return [];
  const field = hasEntries(rules.fqdns) ? "fqdns" : "l7";
  const warn = (message: string, remedy: string): Located[] => [never([...path, field], message, remedy)];
  if (!hasEntries(rules.cidr4) && !hasEntries(rules.cidr6) && !hasSelectedPeers(rules)) {
    return warn(
      "lists names, but no resolver can be reached",
      "add peers: [resolver], or the resolver's address to cidr4 or cidr6",
    );
  }
  if (!allowsDnsPort(rules)) {
    return warn(
      `lists names, but port ${DNS_PORT} is not allowed, so none can be asked (unless the agent has other DNS ports)`,
      `add {protocol: udp, port: ${DNS_PORT}} and {protocol: tcp, port: ${DNS_PORT}} to l4.protocolPorts`,
    );
  }
  const applications = rules.l7?.protocols;
  if (applications === undefined || applications.includes("dns") || applications.includes("any")) return [];
  return warn("lists names, but l7.protocols leaves out dns, so asking is a violation", "add dns to l7.protocols");
}

function allowsDnsPort(rules: EgressRules): boolean {
  const whole: readonly L4Protocol[] = rules.l4?.protocols ?? [];
  if (whole.some((protocol) => ["any", "udp", "tcp", 17, 6].includes(protocol))) return true;
  return (rules.l4?.protocolPorts ?? []).some(
    ({ protocol, port, endPort = port }) => protocol !== "sctp" && port <= DNS_PORT && DNS_PORT <= endPort,
  );
}
