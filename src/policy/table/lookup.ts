/**
 * The lookups that the kernel does on a rule table, done plainly: every rule is tried and the longest match wins.
 * The reference evaluator and `explain` are built on these; nothing here is fast, all of it is easy to check.
 */

import { compareText } from "./names.ts";
import { contains, type Family, type Prefix, parsePrefix } from "./prefixes.ts";
import type { Ancestry, Subject } from "./subject.ts";
import type { BinaryRules, BlockMask, BlockOrigin, NameRule, PeerRule, Ruleset, RuleTable } from "./tables.ts";

/** The binary of a process and its id in the table, from 1. */
export interface FoundBinary {
  id: number;
  rules: BinaryRules;
}

/**
 * The entry for this container, else the one for any container; null if the table does not list the path for it.
 * @param container name of the process's container, null where there is none
 */
export function findBinary(
  table: RuleTable,
  path: string,
  { container, ephemeral }: Pick<Subject, "container" | "ephemeral">,
): FoundBinary | null {
  const named = container === null ? [] : [container];
  const isOwn = table.ephemeralContainers === "Include" || !ephemeral;
  for (const wanted of isOwn ? [...named, null] : named) {
    const index = table.binaries.findIndex((binary) => binary.path === path && binary.container === wanted);
    if (index >= 0) return { id: index + 1, rules: table.binaries[index] as BinaryRules };
  }
  return null;
}

/** Blocks whose CIDRs hold the address (a number of the family's width). */
export function peerMask(ruleset: Ruleset, family: Family, address: bigint): BlockMask {
  const host: Prefix = { address, length: family === "ipv4" ? 32 : 128 };
  const rules = family === "ipv4" ? ruleset.peers4 : ruleset.peers6;
  let best: { length: number; mask: BlockMask } = { length: -1, mask: 0n };
  for (const { prefix, mask } of parsedPeers(rules, family)) {
    if (prefix.length > best.length && contains(prefix, host, family)) best = { length: prefix.length, mask };
  }
  return best.mask;
}

/** Blocks that allow (protocol, port); port 0 for protocols without ports. */
export function portMask(ruleset: Ruleset, protocol: number, port: number): BlockMask {
  let best: { length: number; mask: BlockMask } = { length: -1, mask: 0n };
  for (const rule of ruleset.ports) {
    const shift = 16 - rule.portPrefix;
    const matches = rule.protocol === null || (rule.protocol === protocol && rule.port >> shift === port >> shift);
    const length = rule.protocol === null ? 0 : 1 + rule.portPrefix;
    if (matches && length > best.length) best = { length, mask: rule.mask };
  }
  return best.mask;
}

/** Blocks that let a name be asked, and blocks that let its addresses be connected to. `text`: see `reverseName`. */
export function nameMasks(ruleset: Ruleset, text: string): { ask: BlockMask; connect: BlockMask } {
  let best: NameRule | null = null;
  for (const rule of ruleset.names) {
    if (text.startsWith(rule.text) && (best === null || rule.text.length > best.text.length)) best = rule;
  }
  if (best === null) return { ask: 0n, connect: 0n };
  return best.text === text
    ? { ask: best.exactAsk, connect: best.exactConnect }
    : { ask: best.belowAsk, connect: best.belowConnect };
}

/** Blocks that hold below what led to a process. A changed file is still what must not be above it, and not what has to be. */
export function ancestryMask(ruleset: Ruleset, ancestry: Ancestry | null): BlockMask {
  const rulesOf = (path: string) => ruleset.ancestors.filter((rule) => rule.path === path);
  const withAncestors = union(ruleset.ancestors.map(({ below }) => below));
  const withoutAncestors = union(ruleset.ancestors.map(({ notBelow }) => notBelow));
  if (ancestry === null) return allBlocks(ruleset) & ~(withAncestors | withoutAncestors);
  const { executables, incomplete } = ancestry;
  const met = executables.flatMap(({ path, modified }) =>
    rulesOf(path).map(({ below }) => (modified ? below & ruleset.anyBinary : below)),
  );
  const failed = executables.flatMap(({ path }) => rulesOf(path).map(({ notBelow }) => notBelow));
  if (incomplete) failed.push(withoutAncestors);
  return allBlocks(ruleset) & (~withAncestors | union(met)) & ~union(failed);
}

/** Blocks that hold for a user; null: one that is not known. */
export function userMask(ruleset: Ruleset, user: number | null): BlockMask {
  const withUsers = union(ruleset.users.map(({ mask }) => mask));
  const met = union(ruleset.users.filter((rule) => rule.user === user).map(({ mask }) => mask));
  return allBlocks(ruleset) & (~withUsers | met);
}

function union(masks: readonly BlockMask[]): BlockMask {
  return masks.reduce((all, mask) => all | mask, 0n);
}

/** All blocks of a rule set. */
export function allBlocks(ruleset: Ruleset): BlockMask {
  return (1n << BigInt(ruleset.blocks.length)) - 1n;
}

/** Where the blocks of a mask come from, sorted by profile, then field. */
export function originsOf(ruleset: Ruleset, mask: BlockMask): BlockOrigin[] {
  return ruleset.blocks
    .filter((_, bit) => (mask >> BigInt(bit)) & 1n)
    .sort((left, right) => compareText(left.profile, right.profile) || compareText(left.field, right.field));
}

/** A rule's prefix as profiles write it. */
export function formatPeer(rule: PeerRule): string {
  return `${rule.address}/${rule.prefixLength}`;
}

const parsed = new WeakMap<PeerRule[], { prefix: Prefix; mask: BlockMask }[]>();

/** Texts are parsed once per list: rule sets never change. */
function parsedPeers(rules: PeerRule[], family: Family): { prefix: Prefix; mask: BlockMask }[] {
  let peers = parsed.get(rules);
  if (peers === undefined) {
    peers = rules.map((rule) => ({ prefix: parsePrefix(formatPeer(rule), family), mask: rule.mask }));
    parsed.set(rules, peers);
  }
  return peers;
}
