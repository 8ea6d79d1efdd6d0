import { sha256 } from "./rulesets.ts";
import type { Ruleset, RuleTable } from "./tables.ts";

/** Content hash of a table: sha256, hex, over what it allows and over the profiles that allow it. */
export function tableHash(table: Omit<RuleTable, "hash">): string {
  const side = (ruleset: Ruleset) => [ruleset.hash, ruleset.blocks.map((block) => [block.profile, block.field])];
  return sha256([
    table.profiles,
    table.actions,
    table.attacks,
    table.default && [side(table.default.egress), side(table.default.ingress)],
    table.binaries.map((binary) => [binary.path, binary.container, side(binary.egress), side(binary.ingress)]),
    // Left out where it says nothing, so that tables of former versions keep their hashes.
    ...(table.ephemeralContainers === "Exclude" ? ["Exclude"] : []),
  ]);
}
