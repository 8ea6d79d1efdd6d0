/** Profiles for tests, built from as little as each test is about. */
import type { EgressRules, IngressRules, Network, ProcessRules, SecurityProfile } from "../../api/types.ts";

/** A profile `default/<name>` that selects `app=<name>`. */
export function profileOf(name: string, spec: SecurityProfile["spec"]): SecurityProfile {
  return {
    apiVersion: "security.datadoghq.com/v1",
    kind: "SecurityProfile",
    metadata: { name, namespace: "default", labels: { app: name } },
    spec,
  };
}

/** A process that may do what the rules say, and nothing in a direction of which they say nothing. */
export function processOf(path: string, network: Network, more: Partial<ProcessRules> = {}): ProcessRules {
  return { path, network, ...more };
}

/** One process with egress rules, in a profile that enforces. */
export function egressProfile(egress: EgressRules, path = "/bin/app"): SecurityProfile {
  return profileOf("web", { actions: ["enforce"], processes: [processOf(path, { egress })] });
}

/** One process with ingress rules, in a profile that enforces. */
export function ingressProfile(ingress: IngressRules, path = "/bin/app"): SecurityProfile {
  return profileOf("web", { actions: ["enforce"], processes: [processOf(path, { ingress })] });
}
