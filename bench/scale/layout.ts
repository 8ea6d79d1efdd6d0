/** Which pods there are, on which nodes, and which profiles select them. Pure. */
import type { SecurityProfileSpec } from "../../src/api/types.ts";

export interface Size {
  nodes: number;
  /** Without the agents' own. */
  pods: number;
  profiles: number;
}

export interface ScalePod {
  namespace: string;
  name: string;
  /** Its label `app`, and the name of the profile that selects it. */
  app: string;
  node: number;
}

/** A profile whose edits are measured: it selects one pod on each of so many nodes, from the first on. */
export interface SpreadProfile {
  namespace: string;
  name: string;
  nodes: number;
}

const NAMESPACES = 20;
const DECIMAL = 10;

export function namespaces(): string[] {
  return Array.from({ length: NAMESPACES }, (_, index) => `team-${index}`);
}

export function nodeName(node: number): string {
  return `node-${node}`;
}

/** Profiles on 1, 10, 100 nodes and so on, and on all nodes. */
export function spreadProfiles({ nodes }: Size): SpreadProfile[] {
  const spreads: number[] = [];
  for (let spread = 1; spread < nodes; spread *= DECIMAL) spreads.push(spread);
  return [...spreads, nodes].map((spread) => ({ namespace: "team-0", name: `on-${spread}-nodes`, nodes: spread }));
}

/** All pods, node by node. Every node has the same number, and each profile but the spread ones about the same number too. */
export function pods(size: Size): ScalePod[] {
  const spreads = spreadProfiles(size);
  const others = size.profiles - spreads.length;
  const perNode = Math.floor(size.pods / size.nodes);
  const list: ScalePod[] = [];
  for (let node = 0; node < size.nodes; node += 1) {
    const own = spreads.filter((spread) => node < spread.nodes);
    for (const { namespace, name } of own) list.push({ namespace, name: `${name}-${node}`, app: name, node });
    for (let place = own.length; place < perNode; place += 1) {
      const app = list.length % others;
      list.push({ namespace: otherNamespace(app), name: `app-${app}-${list.length}`, app: `app-${app}`, node });
    }
  }
  return list;
}

export interface ScaleProfile {
  namespace: string;
  name: string;
  spec: SecurityProfileSpec;
}

export function profiles(size: Size): ScaleProfile[] {
  const spreads = spreadProfiles(size);
  const others = Array.from({ length: size.profiles - spreads.length }, (_, app) => ({
    namespace: otherNamespace(app),
    name: `app-${app}`,
    number: app,
  }));
  return [...spreads.map((spread) => ({ ...spread, number: SPREAD_NUMBER })), ...others].map(
    ({ namespace, name, number }) => ({ namespace, name, spec: spec(name, number, 0) }),
  );
}

/** Of spread profiles: one without peers by selector. */
export const SPREAD_NUMBER = 1;

/** As a profile of a web application may look; with another `edit` it allows another port. */
export function spec(app: string, number: number, edit: number): SecurityProfileSpec {
  const dns = { protocols: ["udp" as const], protocolPorts: [{ protocol: "tcp" as const, port: 53 }] };
  return {
    labelSelector: { matchLabels: { app } },
    actions: ["alert", "enforce"],
    processes: [
      {
        path: "/usr/local/bin/server",
        network: {
          egress: {
            fqdns: [`${app}-db.example.com`, "*.storage.example.com"],
            cidr4: [`10.96.${number % 256}.10/32`, "10.97.0.0/16", `192.0.2.${number % 256}/32`],
            pods: number % 4 === 0 ? [{ podSelector: { matchLabels: { app } } }] : [],
            l4: {
              protocolPorts: [
                { protocol: "tcp", port: 443 },
                { protocol: "tcp", port: 10_000 + edit },
              ],
            },
          },
          ingress: { cidr4: ["10.0.0.0/8"], l4: { protocolPorts: [{ protocol: "tcp", port: 8080 }] } },
        },
      },
      { path: "/usr/bin/resolver", network: { egress: { cidr4: ["10.96.0.10/32"], l4: dns } } },
    ],
  };
}

function otherNamespace(app: number): string {
  return `team-${app % NAMESPACES}`;
}
