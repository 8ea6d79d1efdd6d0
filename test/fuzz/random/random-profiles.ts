/** Random profiles, as their authors would write them. Most are valid; those that are not are passed over. */
import { API_VERSION, EPHEMERAL_MODES, KIND } from "../../../src/api/types.ts";
import type { Random } from "../../../src/policy/testing/random.ts";
import type { Policy } from "../case.ts";
import {
  ANCESTORS,
  CONTAINERS,
  PATHS,
  PATTERNS,
  PEERS4,
  PEERS6,
  PORTS,
  RESOLVER4,
  RESOLVER6,
  SEARCH_DOMAINS,
  USERS,
} from "../world.ts";

const ACTIONS = [
  ["enforce"],
  ["alert", "enforce"],
  ["enforce"],
  ["alert"],
  [],
  ["learn"],
  ["alert", "trace-dns"],
] as const;
const ATTACKS = ["arp-spoofing", "ip-spoofing", "ndp-spoofing", "dns-spoofing"] as const;

export function randomPolicy(random: Random): Policy {
  const profiles = Array.from({ length: 1 + random.below(3) }, (_, index) => randomProfile(random, `p${index}`));
  return { profiles, searchDomains: random.chance(0.3) ? [random.pick(SEARCH_DOMAINS)] : [] };
}

function randomProfile(random: Random, name: string): unknown {
  const spec: Record<string, unknown> = {
    actions: [...random.pick(ACTIONS)],
    processes: distinctProcesses(random),
  };
  if (random.chance(0.3)) spec.attacks = some(random, ATTACKS);
  if (random.chance(0.3)) spec.ephemeralContainers = random.pick(EPHEMERAL_MODES);
  if (random.chance(0.5)) spec.default = randomNetwork(random);
  return { apiVersion: API_VERSION, kind: KIND, metadata: { name, labels: { app: name } }, spec };
}

function distinctProcesses(random: Random): unknown[] {
  const seen = new Set<string>();
  return random
    .list(6, () => ({ path: random.pick(PATHS), container: random.chance(0.3) ? random.pick(CONTAINERS) : null }))
    .filter(({ path, container }) => {
      const key = `${path} ${container}`;
      return seen.has(key) ? false : seen.add(key);
    })
    .map(({ path, container }) => ({
      path,
      ...(container === null ? {} : { container }),
      ...(random.chance(0.2) ? { binary: "Any" } : {}),
      ...(random.chance(0.2) ? { ancestors: some(random, ANCESTORS.slice(0, 2)) } : {}),
      ...(random.chance(0.15) ? { notAncestors: some(random, ANCESTORS.slice(2)) } : {}),
      ...(random.chance(0.2) ? { users: some(random, USERS) } : {}),
      network: randomNetwork(random),
    }));
}

function randomNetwork(random: Random): Record<string, unknown> {
  return {
    ...(random.chance(0.9) ? { egress: randomRules(random, "egress") } : {}),
    ...(random.chance(0.5) ? { ingress: randomRules(random, "ingress") } : {}),
  };
}

/** What most profiles come to: a resolver, and names. */
function namedRules(random: Random): Record<string, unknown> {
  return {
    cidr4: [`${RESOLVER4}/32`],
    ...(random.chance(0.5) ? { cidr6: [`${RESOLVER6}/128`] } : {}),
    fqdns: atLeastOne(random, 4, () => random.pick(PATTERNS)),
    l4: random.chance(0.7) ? { protocols: ["tcp", "udp"] } : randomL4(random),
    ...(random.chance(0.2) ? { l7: { dns: atLeastOne(random, 4, () => random.pick(PATTERNS)) } } : {}),
  };
}

function randomRules(random: Random, direction: "egress" | "ingress"): Record<string, unknown> {
  if (direction === "egress" && random.chance(0.3)) return namedRules(random);
  const rules: Record<string, unknown> = {};
  if (random.chance(0.75)) rules.cidr4 = atLeastOne(random, 3, () => randomCidr4(random));
  if (random.chance(0.5)) rules.cidr6 = atLeastOne(random, 3, () => randomCidr6(random));
  if (random.chance(0.25)) rules.l3 = { protocols: fittingFamilies(random, rules) };
  rules.l4 = randomL4(random);
  if (direction === "egress" && random.chance(0.45)) rules.fqdns = atLeastOne(random, 3, () => random.pick(PATTERNS));
  const l7: Record<string, unknown> = {};
  if (random.chance(0.35)) l7.protocols = some(random, ["dns", "http", "tls", "any", "dns"]);
  if (direction === "egress" && random.chance(0.3)) l7.dns = atLeastOne(random, 3, () => random.pick(PATTERNS));
  if (Object.keys(l7).length > 0) rules.l7 = l7;
  return rules;
}

/** Destinations of a family that is left out are refused by the validator. */
function fittingFamilies(random: Random, rules: Record<string, unknown>): string[] {
  const needed = [...(rules.cidr4 ? ["ipv4"] : []), ...(rules.cidr6 ? ["ipv6"] : [])];
  return [...new Set([...needed, ...some(random, ["ipv4", "ipv6", "arp"])])];
}

function randomL4(random: Random): Record<string, unknown> {
  const l4: Record<string, unknown> = {};
  if (random.chance(0.7))
    l4.protocols = some(random, ["tcp", "udp", "icmp", "icmpv6", "sctp", "igmp", "any", "udp", "any", 47]);
  if (!l4.protocols || random.chance(0.5)) {
    l4.protocolPorts = atLeastOne(random, 3, () => {
      const port = random.pick(PORTS);
      const protocol = random.pick(["tcp", "udp", "udp", "tcp", "sctp"]);
      return random.chance(0.3) ? { protocol, port, endPort: port + random.below(400) } : { protocol, port };
    });
  }
  return l4;
}

function randomCidr4(random: Random): string {
  if (random.chance(0.3)) return "0.0.0.0/0";
  return `${random.pick(PEERS4)}/${random.pick([0, 8, 16, 24, 30, 31, 32, 32, 32])}`;
}

function randomCidr6(random: Random): string {
  if (random.chance(0.3)) return "::/0";
  return `${random.pick(PEERS6)}/${random.pick([0, 16, 32, 48, 64, 127, 128, 128])}`;
}

function atLeastOne<T>(random: Random, limit: number, make: () => T): T[] {
  return [...new Set([make(), ...random.list(limit - 1, make)])];
}

/** One or more of them, each at most once. */
function some<T>(random: Random, items: readonly T[]): T[] {
  return [...new Set(atLeastOne(random, items.length, () => random.pick(items)))];
}
