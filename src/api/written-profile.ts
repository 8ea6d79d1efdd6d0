/** A profile as written, before it is normalised, and a walk over its rules. */
import type { Direction } from "./reasons.ts";
import { DIRECTIONS } from "./reasons.ts";
import type { EgressRules, Network, ProcessRules, SecurityProfile, SecurityProfileSpec } from "./types.ts";

/** Older manifests have `dns` beside `l7`; ingress may hold what is refused there. */
export interface WrittenRules extends EgressRules {
  dns?: string[];
}

export interface WrittenNetwork {
  egress?: WrittenRules;
  ingress?: WrittenRules;
}

export interface WrittenProcess extends Omit<ProcessRules, "network"> {
  network?: WrittenNetwork;
}

export interface WrittenProfile extends Omit<SecurityProfile, "spec"> {
  spec: Omit<SecurityProfileSpec, "default" | "processes"> & {
    default?: WrittenNetwork;
    processes?: WrittenProcess[];
  };
}

/** The rules of one direction of one entry, and where they stand. */
export interface PlacedRules<Rules> {
  path: (string | number)[];
  direction: Direction;
  /** Whether they are of `default`. */
  isDefault: boolean;
  rules: Rules;
}

interface RulesHolder<Net> {
  spec: { default?: Net; processes?: { network?: Net }[] };
}

/** All rules of a profile, `default` first. */
export function placedRules(profile: RulesHolder<Network>): PlacedRules<EgressRules>[];
export function placedRules(profile: RulesHolder<WrittenNetwork>): PlacedRules<WrittenRules>[];
export function placedRules(profile: RulesHolder<WrittenNetwork>): PlacedRules<WrittenRules>[] {
  const { processes = [] } = profile.spec;
  return [
    ...rulesOf(profile.spec.default, ["spec", "default"], true),
    ...processes.flatMap((entry, index) => rulesOf(entry.network, ["spec", "processes", index, "network"], false)),
  ];
}

function rulesOf(
  network: WrittenNetwork | undefined,
  path: (string | number)[],
  isDefault: boolean,
): PlacedRules<WrittenRules>[] {
  const placed: PlacedRules<WrittenRules>[] = [];
  for (const direction of DIRECTIONS) {
    const rules = network?.[direction];
    if (rules !== undefined) placed.push({ path: [...path, direction], direction, isDefault, rules });
  }
  return placed;
}
