/**
 * Rules that a JSON schema cannot say. Each is written twice, with one text: as CEL, which the API server evaluates at
 * apply, and as TypeScript (in validate-rules.ts), for everything that reads profiles. refused-profiles.ts has cases
 * for both.
 */
import type { Finding } from "./fields.ts";

/** A rule as the schema carries it. */
export interface CelRule extends Finding {
  /** CEL over the object that the rule is attached to. */
  rule: string;
  /** Field below that object which is to blame, as `x-kubernetes-validations` writes it. */
  fieldPath?: string;
}

/** Attacks that the API knows and this version does not detect. Enforcing less than was asked for is never silent. */
export const ATTACKS_NOT_IMPLEMENTED = ["port-scan", "syn-flood", "dns-tunnel"] as const;

export const PATH_RULE: CelRule = {
  code: "PC_PATH_INVALID",
  message: "is not the clean absolute path of a file, of at most 255 bytes",
  remedy: "write it from /, with one slash between components, none at the end, and without /./ and /../",
  rule:
    "self.startsWith('/') && !self.endsWith('/') && !self.contains('//') && !self.contains('/./') && " +
    "!self.contains('/../') && !self.endsWith('/.') && !self.endsWith('/..') && size(bytes(self)) <= 255",
};

export const LEARN_RULE: CelRule = {
  code: "PC_ACTIONS_CONFLICT",
  message: "learn judges nothing, so it cannot stand beside alert or enforce",
  remedy: "learn first, then replace it by alert or enforce",
  rule: "!has(self.actions) || !('learn' in self.actions) || !('alert' in self.actions || 'enforce' in self.actions)",
  fieldPath: ".actions",
};

export const ATTACKS_RULE: CelRule = {
  code: "PC_ATTACK_NOT_IMPLEMENTED",
  message: `${ATTACKS_NOT_IMPLEMENTED.join(", ")} are not detected by this version`,
  remedy: "take them off the list; arp-spoofing, ip-spoofing, ndp-spoofing and dns-spoofing are detected",
  rule: `!has(self.attacks) || self.attacks.all(a, !(a in [${ATTACKS_NOT_IMPLEMENTED.map((a) => `'${a}'`).join(", ")}]))`,
  fieldPath: ".attacks",
};

export const DUPLICATE_PROCESS_RULE: CelRule = {
  code: "PC_PROCESS_DUPLICATE",
  message: "the same path and container are listed twice",
  remedy: "merge the two entries into one",
  rule:
    "!has(self.processes) || self.processes.all(p, self.processes.exists_one(q, p.path == q.path && " +
    "(has(p.container) ? p.container : '') == (has(q.container) ? q.container : '')))",
  fieldPath: ".processes",
};

export const ANCESTORS_RULE: CelRule = {
  code: "PC_ANCESTORS_CONFLICT",
  message: "an executable is listed under ancestors and under notAncestors",
  remedy: "take it off one of the two lists",
  rule: "!has(self.ancestors) || !has(self.notAncestors) || !self.ancestors.exists(a, a in self.notAncestors)",
  fieldPath: ".notAncestors",
};

export const DNS_TWICE_RULE: CelRule = {
  code: "PC_DNS_TWICE",
  message: "dns is given twice, beside l7 and in l7",
  remedy: "keep l7.dns only",
  rule: "!has(self.dns) || !has(self.l7) || !has(self.l7.dns)",
  fieldPath: ".dns",
};

/** A list of destinations whose family `l3.protocols` rules out. */
function familyRule(
  list: "cidr4" | "cidr6" | "fqdns" | "pods" | "services" | "peers",
  families: readonly ("ipv4" | "ipv6")[],
): CelRule {
  const listed = families.map((family) => `'${family}' in self.l3.protocols`).join(" || ");
  const names = families.join(" or ");
  return {
    code: "PC_FAMILY_CONFLICT",
    message: `${list} cannot be enforced, because l3.protocols leaves out ${names}`,
    remedy: `add ${names} to l3.protocols, or take ${list} away`,
    rule: `!has(self.${list}) || size(self.${list}) == 0 || !has(self.l3) || !has(self.l3.protocols) || ${listed}`,
    fieldPath: `.${list}`,
  };
}

export const CIDR4_FAMILY_RULE: CelRule = familyRule("cidr4", ["ipv4"]);
export const CIDR6_FAMILY_RULE: CelRule = familyRule("cidr6", ["ipv6"]);
export const FQDNS_FAMILY_RULE: CelRule = familyRule("fqdns", ["ipv4", "ipv6"]);
export const PODS_FAMILY_RULE: CelRule = familyRule("pods", ["ipv4", "ipv6"]);
export const SERVICES_FAMILY_RULE: CelRule = familyRule("services", ["ipv4", "ipv6"]);
export const PEERS_FAMILY_RULE: CelRule = familyRule("peers", ["ipv4", "ipv6"]);

export const POD_PEER_RULE: CelRule = {
  code: "PC_PEER_EMPTY",
  message: "has neither podSelector nor namespaceSelector",
  remedy: "add one of them; an empty podSelector, {}, means all pods of the namespace",
  rule: "has(self.podSelector) || has(self.namespaceSelector)",
};

export const INGRESS_SERVICES_RULE: CelRule = {
  code: "PC_INGRESS_NAMES",
  message: "services says what may be connected to, which is egress only",
  remedy: "list the peers under pods, cidr4 or cidr6",
  rule: "!has(self.services)",
  fieldPath: ".services",
};

export const INGRESS_PEERS_RULE: CelRule = {
  code: "PC_INGRESS_NAMES",
  message: "peers says what may be connected to, which is egress only",
  remedy: "list the peers under pods, cidr4 or cidr6",
  rule: "!has(self.peers)",
  fieldPath: ".peers",
};

export const INGRESS_FQDNS_RULE: CelRule = {
  code: "PC_INGRESS_NAMES",
  message: "fqdns says what may be connected to, which is egress only",
  remedy: "list the peers under pods, cidr4 or cidr6",
  rule: "!has(self.fqdns)",
  fieldPath: ".fqdns",
};

export const INGRESS_DNS_RULE: CelRule = {
  code: "PC_INGRESS_NAMES",
  message: "dns says what may be asked, which is egress only",
  remedy: "move it to egress.l7.dns",
  rule: "!has(self.dns)",
  fieldPath: ".dns",
};

export const INGRESS_L7_DNS_RULE: CelRule = {
  ...INGRESS_DNS_RULE,
  rule: "!has(self.l7) || !has(self.l7.dns)",
  fieldPath: ".l7",
};

export const PORT_RANGE_RULE: CelRule = {
  code: "PC_PORT_RANGE",
  message: "endPort is less than port",
  remedy: "write the last port of the range, or leave endPort out for one port",
  rule: "!has(self.endPort) || self.endPort >= self.port",
  fieldPath: ".endPort",
};

export const SELECTOR_VALUES_RULE: CelRule = {
  code: "PC_SELECTOR_VALUES",
  message: "In and NotIn need values; Exists and DoesNotExist have none",
  remedy: "add values, or change the operator",
  rule: "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0",
  fieldPath: ".values",
};

/** The text that both sides show. */
export function ruleText(finding: Finding): string {
  return `${finding.message}; ${finding.remedy}`;
}
