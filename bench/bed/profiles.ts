/** Profiles for the benchmarks' workloads. */
import { LANE_PORTS, TRAFFIC } from "./traffic.ts";

/** Limits of the API on the lists of one entry (src/api/schema/schema.ts): more rules take more profiles. */
const MAX_PORTS = 1024;
const MAX_NAMES = 10_000;

const LANES = [
  { protocol: "udp", ...LANE_PORTS },
  { protocol: "tcp", ...LANE_PORTS },
];

function profile(workload: string, name: string, actions: string[], egress: object, path = TRAFFIC): object {
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name },
    spec: {
      labelSelector: { matchLabels: { bench: workload } },
      actions,
      processes: [{ path, network: { egress } }],
    },
  };
}

const REPORTING = ["alert", "enforce"];

/** The traffic program may reach `count` prefixes of the peer's network, equal in size, on the lanes' ports. */
export function prefixProfiles(workload: string, count: number): object[] {
  return [
    profile(workload, `${workload}-prefixes`, REPORTING, { cidr4: prefixes(count), l4: { protocolPorts: LANES } }),
  ];
}

/** It may reach the peer's network on `count` ports, scattered, beside the lanes'. */
export function portProfiles(workload: string, count: number): object[] {
  // Odd ones, so that no two of them make a range.
  const ports = Array.from({ length: count }, (_, n) => ({
    protocol: n % 2 === 0 ? "tcp" : "udp",
    port: (n | 1) % 65_536,
  }));
  return chunks(ports, MAX_PORTS - LANES.length).map((part, n) =>
    profile(workload, `${workload}-ports-${n}`, REPORTING, {
      cidr4: ["10.0.0.0/8"],
      l4: { protocolPorts: [...LANES, ...part] },
    }),
  );
}

/** It may ask for `count` names, of which one is n0.bench.test, at the peer. */
export function nameProfiles(workload: string, count: number): object[] {
  const names = Array.from({ length: count }, (_, n) => `n${n}.bench.test`);
  return chunks(names, MAX_NAMES).map((part, n) => dnsProfile(workload, `${workload}-names-${n}`, REPORTING, part));
}

/** It may ask for any name below bench.test. */
export function dnsAllowed(workload: string, actions: string[] = REPORTING): object[] {
  return [dnsProfile(workload, `${workload}-dns`, actions, ["*.bench.test"])];
}

/** It may ask for none of the names that it asks for, but nothing is dropped. */
export function dnsAlerted(workload: string): object[] {
  return [dnsProfile(workload, `${workload}-dns`, ["alert"], ["other.test"])];
}

/** Anything over UDP for one program, and names below bench.test: what a flood of allowed traffic takes. */
export function neighbourProfiles(workload: string, program: string): object[] {
  const egress = { cidr4: ["10.0.0.0/8"], fqdns: ["*.bench.test"], l4: { protocols: ["udp"] } };
  const [lanes, flood] = [
    prefixProfiles(workload, 1),
    profile(workload, `${workload}-flood`, REPORTING, egress, program),
  ];
  return [...lanes, flood];
}

function dnsProfile(workload: string, name: string, actions: string[], names: string[]): object {
  return profile(workload, name, actions, {
    cidr4: ["10.0.0.0/8"],
    l4: { protocolPorts: [{ protocol: "udp", port: 53 }] },
    l7: { protocols: ["dns"], dns: names },
  });
}

/** The first `count` prefixes of equal size below 10.128.0.0/9, as small as they have to be. */
export function prefixes(count: number): string[] {
  const bits = Math.ceil(Math.log2(count));
  const size = 2 ** (23 - bits);
  return Array.from({ length: count }, (_, n) => {
    const address = 0x0a80_0000 + n * size;
    const bytes = [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff);
    return `${bytes.join(".")}/${9 + bits}`;
  });
}

function chunks<T>(list: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, n) => list.slice(n * size, (n + 1) * size));
}
