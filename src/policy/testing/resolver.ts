/** Scenes with a resolver, for tests of DNS in the evaluator. */
import type { EgressRules, SecurityProfileSpec } from "../../api/types.ts";
import { processOf, profileOf } from "./profiles.ts";
import { Scene } from "./scene.ts";

export const RESOLVER = "10.0.0.53";
export const A = 1;
export const TXT = 16;
export const RESPONSE = 0x8180;
export const TRUNCATED = 0x8380;

/** The resolver, and a name of which ports 53 and 80 may be used. */
export const RULES: EgressRules = {
  cidr4: [`${RESOLVER}/32`],
  fqdns: ["www.example.com"],
  l4: { protocolPorts: [53, 80].flatMap((port) => (["udp", "tcp"] as const).map((protocol) => ({ protocol, port }))) },
};

export function scene(rules: EgressRules = RULES, spec: Partial<SecurityProfileSpec> = {}): Scene {
  return new Scene([
    profileOf("web", { actions: ["enforce"], ...spec, processes: [processOf("/bin/app", { egress: rules })] }),
  ]);
}
