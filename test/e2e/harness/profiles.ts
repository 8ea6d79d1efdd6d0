/** Profiles as the tests write them: short, with what all of them share filled in. */
import type {
  Action,
  Attack,
  EgressRules,
  EphemeralMode,
  IngressRules,
  Network,
  ProcessRules,
  SecurityProfile,
} from "../../../src/api/types.ts";

export interface ProfileParts {
  name?: string;
  actions?: Action[];
  attacks?: Attack[];
  ephemeralContainers?: EphemeralMode;
  default?: Network;
}

/** A profile for the workload whose label `app` is this. It enforces, and reports. */
export function profile(app: string, processes: ProcessRules[], parts: ProfileParts = {}): SecurityProfile {
  const { name = `${app}-profile`, actions = ["alert", "enforce"], ...rest } = parts;
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name, labels: { app } },
    spec: { actions, ...rest, processes },
  };
}

/** What an executable may do. */
export function entry(path: string, network: Network, rest: Omit<ProcessRules, "path" | "network"> = {}): ProcessRules {
  return { path, ...rest, network };
}

export function egress(path: string, rules: EgressRules): ProcessRules {
  return entry(path, { egress: rules });
}

export function ingress(path: string, rules: IngressRules): ProcessRules {
  return entry(path, { ingress: rules });
}

/** Everything outside, over any protocol: for tests that are about something else. */
export const ANYTHING: EgressRules = {
  cidr4: ["0.0.0.0/0"],
  cidr6: ["::/0"],
  l4: { protocols: ["any"] },
};

/** The outside's server, by what is listed here. */
export function toServer(l4: NonNullable<EgressRules["l4"]>): EgressRules {
  return { cidr4: ["198.51.100.1/32"], cidr6: ["2001:db8:1::1/128"], l4 };
}

/** UDP and TCP to the name servers. */
export const RESOLVER = {
  cidr4: ["198.51.100.53/32"],
  ports: [
    { protocol: "udp", port: 53 },
    { protocol: "tcp", port: 53 },
  ],
} as const;
