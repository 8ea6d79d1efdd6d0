/** The rules of rules.ts in TypeScript, and those about metadata that the API server checks for every object. */
import type { FieldPath } from "../fields.ts";
import { checkDnsLabel, checkLabelKey, checkLabelValue, checkObjectName } from "../labels.ts";
import {
  ANCESTORS_RULE,
  ATTACKS_NOT_IMPLEMENTED,
  ATTACKS_RULE,
  CIDR4_FAMILY_RULE,
  CIDR6_FAMILY_RULE,
  DNS_TWICE_RULE,
  DUPLICATE_PROCESS_RULE,
  FQDNS_FAMILY_RULE,
  INGRESS_DNS_RULE,
  INGRESS_FQDNS_RULE,
  INGRESS_L7_DNS_RULE,
  INGRESS_PEERS_RULE,
  INGRESS_SERVICES_RULE,
  LEARN_RULE,
  PEERS_FAMILY_RULE,
  POD_PEER_RULE,
  PODS_FAMILY_RULE,
  PORT_RANGE_RULE,
  SELECTOR_VALUES_RULE,
  SERVICES_FAMILY_RULE,
} from "../rules.ts";
import type { L3Protocol, LabelSelector } from "../types.ts";
import { type PlacedRules, placedRules, type WrittenProfile, type WrittenRules } from "../written-profile.ts";
import type { Located } from "./structure.ts";

/** What breaks a rule. The profile's types must have been checked. */
export function brokenRules(profile: WrittenProfile): Located[] {
  return [
    ...brokenMetadata(profile),
    ...brokenSelector(profile.spec.labelSelector, ["spec", "labelSelector"]),
    ...brokenSpec(profile),
    ...duplicateProcesses(profile),
    ...conflictingAncestors(profile),
    ...placedRules(profile).flatMap((placed) => [
      ...brokenFamilies(placed),
      ...brokenPorts(placed),
      ...brokenPodPeers(placed),
      ...(placed.direction === "egress" ? dnsTwice(placed) : namesOnIngress(placed)),
    ]),
  ];
}

function brokenMetadata({ metadata }: WrittenProfile): Located[] {
  const { name, namespace, labels = {} } = metadata;
  const checks = [
    { path: ["metadata", "name"], finding: checkObjectName(name) },
    {
      path: ["metadata", "namespace"],
      finding: namespace === undefined ? null : checkDnsLabel(namespace, "namespace"),
    },
    ...Object.entries(labels).map(([key, value]) => ({
      path: ["metadata", "labels", key],
      finding: checkLabelKey(key) ?? checkLabelValue(value),
    })),
  ];
  return checks.flatMap(({ path, finding }) => (finding ? [{ path, finding }] : []));
}

function brokenSelector(selector: LabelSelector | undefined, at: FieldPath): Located[] {
  const keys = Object.keys(selector?.matchLabels ?? {}).flatMap((key) => {
    const finding = checkLabelKey(key);
    return finding ? [{ path: [...at, "matchLabels", key], finding }] : [];
  });
  const values = (selector?.matchExpressions ?? []).flatMap(({ operator, values }, index) => {
    const needsValues = operator === "In" || operator === "NotIn";
    if (!needsValues && operator !== "Exists" && operator !== "DoesNotExist") return [];
    const hasValues = (values ?? []).length > 0;
    if (needsValues === hasValues) return [];
    return [{ path: [...at, "matchExpressions", index, "values"], finding: SELECTOR_VALUES_RULE }];
  });
  return [...keys, ...values];
}

function brokenSpec({ spec }: WrittenProfile): Located[] {
  const { actions = [], attacks = [] } = spec;
  const broken: Located[] = [];
  const learnIndex = actions.indexOf("learn");
  if (learnIndex >= 0 && (actions.includes("alert") || actions.includes("enforce"))) {
    broken.push({ path: ["spec", "actions", learnIndex], finding: LEARN_RULE });
  }
  for (const [index, attack] of attacks.entries()) {
    if (!ATTACKS_NOT_IMPLEMENTED.some((missing) => missing === attack)) continue;
    broken.push({ path: ["spec", "attacks", index], finding: ATTACKS_RULE });
  }
  return broken;
}

function conflictingAncestors({ spec }: WrittenProfile): Located[] {
  return (spec.processes ?? []).flatMap(({ ancestors = [], notAncestors = [] }, index) =>
    ancestors.some((path) => notAncestors.includes(path))
      ? [{ path: ["spec", "processes", index, "notAncestors"], finding: ANCESTORS_RULE }]
      : [],
  );
}

function duplicateProcesses({ spec }: WrittenProfile): Located[] {
  const seen = new Set<string>();
  return (spec.processes ?? []).flatMap(({ path, container = "" }, index) => {
    const key = JSON.stringify([path, container]);
    if (seen.has(key)) return [{ path: ["spec", "processes", index], finding: DUPLICATE_PROCESS_RULE }];
    seen.add(key);
    return [];
  });
}

const FAMILY_RULES = [
  { list: "cidr4", families: ["ipv4"], finding: CIDR4_FAMILY_RULE },
  { list: "cidr6", families: ["ipv6"], finding: CIDR6_FAMILY_RULE },
  { list: "fqdns", families: ["ipv4", "ipv6"], finding: FQDNS_FAMILY_RULE },
  { list: "pods", families: ["ipv4", "ipv6"], finding: PODS_FAMILY_RULE },
  { list: "services", families: ["ipv4", "ipv6"], finding: SERVICES_FAMILY_RULE },
  { list: "peers", families: ["ipv4", "ipv6"], finding: PEERS_FAMILY_RULE },
] as const;

function brokenFamilies({ path, direction, rules }: PlacedRules<WrittenRules>): Located[] {
  const protocols: readonly L3Protocol[] | undefined = rules.l3?.protocols;
  if (protocols === undefined) return [];
  return FAMILY_RULES.flatMap(({ list, families, finding }) => {
    if ((list === "fqdns" || list === "services" || list === "peers") && direction === "ingress") return [];
    const listed = (rules[list] ?? []).length > 0;
    return listed && !families.some((family) => protocols.includes(family)) ? [{ path: [...path, list], finding }] : [];
  });
}

function brokenPodPeers({ path, rules }: PlacedRules<WrittenRules>): Located[] {
  return (rules.pods ?? []).flatMap(({ namespaceSelector, podSelector }, index) => {
    const at = [...path, "pods", index];
    if (!namespaceSelector && !podSelector) return [{ path: at, finding: POD_PEER_RULE }];
    return [
      ...brokenSelector(namespaceSelector, [...at, "namespaceSelector"]),
      ...brokenSelector(podSelector, [...at, "podSelector"]),
    ];
  });
}

function brokenPorts({ path, rules }: PlacedRules<WrittenRules>): Located[] {
  return (rules.l4?.protocolPorts ?? []).flatMap(({ port, endPort }, index) => {
    if (endPort === undefined || endPort >= port) return [];
    return [{ path: [...path, "l4", "protocolPorts", index, "endPort"], finding: PORT_RANGE_RULE }];
  });
}

function dnsTwice({ path, rules }: PlacedRules<WrittenRules>): Located[] {
  return rules.dns && rules.l7?.dns ? [{ path: [...path, "dns"], finding: DNS_TWICE_RULE }] : [];
}

function namesOnIngress({ path, rules }: PlacedRules<WrittenRules>): Located[] {
  return [
    ...(rules.fqdns ? [{ path: [...path, "fqdns"], finding: INGRESS_FQDNS_RULE }] : []),
    ...(rules.dns ? [{ path: [...path, "dns"], finding: INGRESS_DNS_RULE }] : []),
    ...(rules.services ? [{ path: [...path, "services"], finding: INGRESS_SERVICES_RULE }] : []),
    ...(rules.peers ? [{ path: [...path, "peers"], finding: INGRESS_PEERS_RULE }] : []),
    ...(rules.l7?.dns ? [{ path: [...path, "l7", "dns"], finding: INGRESS_L7_DNS_RULE }] : []),
  ];
}
