/** Without rules for neighbour discovery a `default` leaves a workload unable to find its gateway: warns of that. */

import type { EgressRules, IngressRules, SecurityProfile } from "../types.ts";
import { placedRules } from "../written-profile.ts";
import type { Located } from "./structure.ts";

const ICMPV6 = 58;

export function neighbourWarnings(profile: SecurityProfile): Located[] {
  const fallback = profile.spec.default;
  if (fallback === undefined) return [];
  const families = usedFamilies(profile);
  const missing: string[] = [];
  if (families.has("ipv4") && !(allowsArp(fallback.egress) && allowsArp(fallback.ingress))) missing.push(ARP);
  if (families.has("ipv6") && !(allowsDiscovery(fallback.egress) && allowsDiscovery(fallback.ingress)))
    missing.push(ND);
  return missing.map((message) => ({
    path: ["spec", "default"],
    finding: { code: "PC_DEFAULT_WITHOUT_NEIGHBOURS", message, remedy: message === ARP ? ARP_REMEDY : ND_REMEDY },
  }));
}

const ARP = "leaves out ARP, without which the pod finds no IPv4 neighbour, its gateway included";
const ARP_REMEDY = "add arp to l3.protocols of both default.egress and default.ingress, or take default away";
const ND =
  "leaves out neighbour discovery (ICMPv6), without which the pod finds no IPv6 neighbour, its gateway included";
const ND_REMEDY =
  "allow ipv6, icmpv6, fe80::/10, ff02::/16 and the prefix of the pod's link in both default.egress and default.ingress, or take default away";

/** IP versions that any rule of the profile lets pass. */
function usedFamilies(profile: SecurityProfile): Set<"ipv4" | "ipv6"> {
  const families = new Set<"ipv4" | "ipv6">();
  for (const { rules } of placedRules(profile)) {
    const named = (rules.fqdns ?? []).length > 0;
    const listed = rules.l3?.protocols;
    // Which families pods and services have is not known here; most clusters have IPv4.
    const selected = [rules.pods, rules.services, rules.peers].some((list) => (list ?? []).length > 0);
    if (selected && (listed?.includes("ipv4") ?? true)) families.add("ipv4");
    if ((rules.cidr4 ?? []).length > 0 || (named && (listed?.includes("ipv4") ?? true))) families.add("ipv4");
    if ((rules.cidr6 ?? []).length > 0 || (named && (listed?.includes("ipv6") ?? false))) families.add("ipv6");
  }
  return families;
}

function allowsArp(rules: IngressRules | undefined): boolean {
  return rules?.l3?.protocols?.includes("arp") ?? false;
}

/**
 * Whether ICMPv6 passes to and from link-local, multicast and some global peers: neighbours ask from any address of theirs. Roughly,
 * because this is a warning only.
 */
function allowsDiscovery(rules: EgressRules | undefined): boolean {
  const l3 = rules?.l3?.protocols;
  const family = l3 === undefined || l3.includes("ipv6");
  const cidrs = rules?.cidr6 ?? [];
  const some = (pattern: RegExp) => cidrs.some((cidr) => pattern.test(cidr));
  const peer = some(/^::\//) || (some(/^fe[89ab]/) && some(/^ff/) && some(/^(?!f[ef])/));
  const protocol = rules?.l4?.protocols?.some((listed) => ["any", "icmpv6", ICMPV6].includes(listed)) ?? false;
  return family && peer && protocol;
}
