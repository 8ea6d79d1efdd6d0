/** Random profiles for cases with real sockets. */
import { API_VERSION, KIND } from "../../../src/api/types.ts";
import type { Random } from "../../../src/policy/testing/random.ts";
import type { Policy } from "../case.ts";
import { PATHS } from "../world.ts";
import { randomPolicy } from "./random-profiles.ts";

/** Where the ports are that programs listen on. */
export const SERVICES = [8080, 8081] as const;
/** One of the peers: not all profiles allow the others. */
const PEER4 = "192.0.2.7";
const PEER6 = "2001:db8::7";

/** Mostly one under which much of it passes, so that flows come about. */
export function randomSocketPolicy(random: Random): Policy {
  if (random.chance(0.25)) return randomPolicy(random);
  const rules = () => ({
    ...(random.chance(0.9) ? { cidr4: [random.pick(["0.0.0.0/0", "0.0.0.0/0", `${PEER4}/32`])] } : {}),
    cidr6: [random.pick(["::/0", "::/0", `${PEER6}/128`])],
    l4: random.pick([
      { protocols: ["any"] },
      { protocols: ["udp", "tcp", "icmp", "icmpv6"] },
      { protocolPorts: SERVICES.map((port) => ({ protocol: random.pick(["udp", "tcp"]), port })) },
    ]),
    ...(random.chance(0.3) ? { l7: { protocols: ["http"] } } : {}),
  });
  const network = () => ({
    ...(random.chance(0.85) ? { egress: rules() } : {}),
    ...(random.chance(0.75) ? { ingress: rules() } : {}),
  });
  const spec = {
    actions: random.pick([["enforce"], ["enforce"], ["alert"], ["alert", "enforce"], ["learn"]]),
    processes: PATHS.slice(0, 1 + random.below(PATHS.length)).map((path) => ({
      path,
      ...(random.chance(0.15) ? { binary: "Any" } : {}),
      network: network(),
    })),
    ...(random.chance(0.25) ? { default: network() } : {}),
  };
  const metadata = { name: "p", labels: { app: "p" } };
  return { profiles: [{ apiVersion: API_VERSION, kind: KIND, metadata, spec }], searchDomains: [] };
}
