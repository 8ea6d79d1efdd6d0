/** The nftables rules of a private namespace: address translation to the outside and to the host's resolver. Pure. */
import type { ResolverMapping } from "./private-resolver.ts";

/** Every host-side interface of a private namespace begins with this. */
export const HOST_INTERFACE_PREFIX = "pcr";

/** A port of the host's IPv4 addresses that leads to one of the command. */
export interface PublishedPort {
  protocol: "tcp" | "udp";
  hostPort: number;
  port: number;
}

export interface PrivateRuleset {
  /** Name of the table, in the inet family. */
  table: string;
  hostInterface: string;
  inside4: string;
  /** null: the namespace reaches no IPv6 but the host's. */
  inside6: string | null;
  resolvers: readonly ResolverMapping[];
  /** Ports of the host that lead into the namespace. */
  published: readonly PublishedPort[];
  /** Interfaces on which the host forwards IPv4 only because of private namespaces. */
  openedInterfaces: readonly string[];
}

/** nft's text for the removal of a table, whether it is there or not. */
export function removalText(table: string): string {
  return `table inet ${table}\ndelete table inet ${table}\n`;
}

/** nft's text for the whole table. */
export function rulesetText(ruleset: PrivateRuleset): string {
  const chains = [
    chain("loopback", "type filter hook prerouting priority raw", loopbackRules(ruleset)),
    chain("resolver", "type nat hook prerouting priority dstnat", resolverRules(ruleset)),
    chain("published", "type nat hook prerouting priority dstnat", publishedRules(ruleset)),
    chain("published_here", "type nat hook output priority -100", publishedRules(ruleset)),
    chain("resolver_source", "type nat hook input priority 100", resolverSourceRules(ruleset)),
    chain("outside", "type nat hook postrouting priority srcnat", outsideRules(ruleset)),
    chain("transit", "type filter hook forward priority filter", transitRules(ruleset)),
  ];
  return `${removalText(ruleset.table)}table inet ${ruleset.table} {\n${chains.join("")}}\n`;
}

function chain(name: string, hook: string, rules: readonly string[]): string {
  const lines = [`${hook}; policy accept;`, ...rules].map((line) => `\t\t${line}\n`);
  return `\tchain ${name} {\n${lines.join("")}\t}\n`;
}

/** The way to a resolver on loopback (route_localnet) must not lead to anything else there. */
function loopbackRules({ hostInterface }: PrivateRuleset): string[] {
  return [`iifname "${hostInterface}" ip daddr 127.0.0.0/8 drop`];
}

function resolverRules({ hostInterface, resolvers }: PrivateRuleset): string[] {
  return resolvers.map(
    ({ inside, host }) =>
      `iifname "${hostInterface}" ip daddr ${inside} meta l4proto { tcp, udp } th dport 53 dnat ip to ${host}`,
  );
}

/** From outside, and from the host itself; what comes from the namespace keeps its way. */
function publishedRules({ published, hostInterface, inside4 }: PrivateRuleset): string[] {
  return published.map(
    ({ protocol, hostPort, port }) =>
      `iifname != "${hostInterface}" fib daddr type local ${protocol} dport ${hostPort} dnat ip to ${inside4}:${port}`,
  );
}

/** Resolvers on loopback answer to loopback addresses only, by default. */
function resolverSourceRules({ hostInterface, resolvers }: PrivateRuleset): string[] {
  if (!resolvers.some(({ loopback }) => loopback)) return [];
  return [`iifname "${hostInterface}" ip daddr 127.0.0.0/8 snat ip to 127.0.0.1`];
}

function outsideRules({ hostInterface, inside4, inside6, published }: PrivateRuleset): string[] {
  const rules = [`ip saddr ${inside4} oifname != "${hostInterface}" masquerade`];
  // Who connects to a published port of 127.0.0.1 has a source that leads nowhere in there.
  if (published.length > 0) rules.push(`ip saddr 127.0.0.0/8 oifname "${hostInterface}" masquerade`);
  if (inside6 !== null) rules.push(`ip6 saddr ${inside6} oifname != "${hostInterface}" masquerade`);
  return rules;
}

/** Nobody else's packets get in, and the host does not become a router for its neighbours. */
function transitRules({ hostInterface, openedInterfaces, published }: PrivateRuleset): string[] {
  const admitted = published.length > 0 ? [`oifname "${hostInterface}" ct status dnat accept`] : [];
  const rules = [...admitted, `oifname "${hostInterface}" ct state != { established, related } drop`];
  if (openedInterfaces.length > 0) {
    const names = openedInterfaces.map((name) => `"${name}"`).join(", ");
    rules.push(`iifname { ${names} } oifname != "${HOST_INTERFACE_PREFIX}*" meta nfproto ipv4 drop`);
  }
  return rules;
}
