/** Rule sets: the union of blocks, one lookup per layer. */
import { createHash } from "node:crypto";
import type { L3Protocol, L7Protocol } from "../../api/types.ts";
import { type Block, blockContent, nameGrants } from "./blocks.ts";
import { CompileError } from "./errors.ts";
import { compareText, flattenNames } from "./names.ts";
import { flattenPorts } from "./ports.ts";
import { type Family, flattenPrefixes, type MaskedPrefix, type Prefix } from "./prefixes.ts";
import { type AncestorRule, type BlockMask, MAX_BLOCKS, type PeerRule, type Ruleset, type UserRule } from "./tables.ts";

/** The rule set of a direction that nothing is said of: rule set 0 in the kernel, hash "". */
export const EMPTY_RULESET: Ruleset = Object.freeze({
  hash: "",
  blocks: [],
  ethertype: { ipv4: 0n, ipv6: 0n, arp: 0n },
  peers4: [],
  peers6: [],
  ports: [],
  anyApplication: 0n,
  application: { dns: 0n, http: 0n, tls: 0n },
  askAny: 0n,
  askRecords: 0n,
  fqdn: 0n,
  anyBinary: 0n,
  ancestors: [],
  users: [],
  names: [],
});

/**
 * Unites blocks into a rule set. Bit n stands for the nth block in the order of their content, then their origin.
 * `subject` names the binary in messages.
 * @throws CompileError above 64 blocks, the width of a mask.
 */
export function buildRuleset(unordered: Block[], subject: string): Ruleset {
  if (unordered.length === 0) return EMPTY_RULESET;
  const blocks = orderBlocks(unordered);
  if (blocks.length > MAX_BLOCKS) {
    throw new CompileError(
      `${blocks.length} blocks of rules for ${subject} meet in one workload, at most ${MAX_BLOCKS} can be united; ` +
        `merge some of: ${[...new Set(blocks.map((block) => block.origin.profile))].sort(compareText).join(", ")}`,
    );
  }
  const content: Omit<Ruleset, "hash" | "blocks"> = {
    ethertype: { ipv4: family(blocks, "ipv4"), ipv6: family(blocks, "ipv6"), arp: family(blocks, "arp") },
    peers4: peers(blocks, "ipv4"),
    peers6: peers(blocks, "ipv6"),
    ports: flattenPorts(
      blocks.flatMap((block, bit) => block.ports.map((range) => ({ ...range, mask: 1n << BigInt(bit) }))),
    ),
    anyApplication: maskOf(blocks, (block) => block.applications === null),
    application: {
      dns: application(blocks, "dns"),
      http: application(blocks, "http"),
      tls: application(blocks, "tls"),
    },
    askAny: maskOf(blocks, (block) => block.ask === null),
    askRecords: maskOf(blocks, (block) => block.askRecords),
    fqdn: maskOf(blocks, (block) => block.connect.length > 0),
    anyBinary: maskOf(blocks, (block) => block.anyBinary),
    ancestors: ancestorRules(blocks),
    users: userRules(blocks),
    names: flattenNames(blocks.flatMap((block, bit) => nameGrants(block, 1n << BigInt(bit)))),
  };
  return { hash: rulesetHash(content, blocks.length), blocks: blocks.map((block) => block.origin), ...content };
}

/** Content hash of a rule set: sha256, hex, over everything but where its blocks come from. */
export function rulesetHash(ruleset: Omit<Ruleset, "hash" | "blocks">, blockCount: number): string {
  const hex = (mask: BlockMask) => mask.toString(16);
  const peerTuples = (rules: PeerRule[]) => rules.map((rule) => [rule.address, rule.prefixLength, hex(rule.mask)]);
  return sha256([
    blockCount,
    [hex(ruleset.ethertype.ipv4), hex(ruleset.ethertype.ipv6), hex(ruleset.ethertype.arp)],
    peerTuples(ruleset.peers4),
    peerTuples(ruleset.peers6),
    ruleset.ports.map((rule) => [rule.protocol, rule.port, rule.portPrefix, hex(rule.mask)]),
    hex(ruleset.anyApplication),
    [hex(ruleset.application.dns), hex(ruleset.application.http), hex(ruleset.application.tls)],
    [hex(ruleset.askAny), hex(ruleset.askRecords), hex(ruleset.fqdn), hex(ruleset.anyBinary)],
    ruleset.names.map((rule) => [
      rule.text,
      ...[rule.exactAsk, rule.exactConnect, rule.belowAsk, rule.belowConnect].map(hex),
    ]),
    // Left out where there are none, so that rule sets of former versions keep their hashes.
    ...(ruleset.ancestors.length + ruleset.users.length === 0
      ? []
      : [
          ruleset.ancestors.map((rule) => [rule.path, hex(rule.below), hex(rule.notBelow)]),
          ruleset.users.map((rule) => [rule.user, hex(rule.mask)]),
        ]),
  ]);
}

/** sha256 of a JSON value, hex. Arrays only, so that the order of object keys cannot matter. */
export function sha256(value: unknown[]): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

function orderBlocks(blocks: Block[]): Block[] {
  return blocks
    .map((block) => ({ block, content: blockContent(block) }))
    .sort(
      (left, right) =>
        compareText(left.content, right.content) ||
        compareText(left.block.origin.profile, right.block.origin.profile) ||
        compareText(left.block.origin.field, right.block.origin.field),
    )
    .map(({ block }) => block);
}

/** The bits of the blocks that satisfy a condition. */
function maskOf(blocks: Block[], holds: (block: Block) => boolean): BlockMask {
  return blocks.reduce((mask, block, bit) => (holds(block) ? mask | (1n << BigInt(bit)) : mask), 0n);
}

function family(blocks: Block[], protocol: L3Protocol): BlockMask {
  return maskOf(blocks, (block) => block.families.includes(protocol));
}

function application(blocks: Block[], protocol: Exclude<L7Protocol, "any">): BlockMask {
  return maskOf(blocks, (block) => block.applications?.includes(protocol) ?? false);
}

function ancestorRules(blocks: Block[]): AncestorRule[] {
  const paths = blocks.flatMap(({ conditions }) => [...conditions.ancestors, ...conditions.notAncestors]);
  return [...new Set(paths)].sort(compareText).map((path) => ({
    path,
    below: maskOf(blocks, ({ conditions }) => conditions.ancestors.includes(path)),
    notBelow: maskOf(blocks, ({ conditions }) => conditions.notAncestors.includes(path)),
  }));
}

function userRules(blocks: Block[]): UserRule[] {
  const users = new Set(blocks.flatMap(({ conditions }) => conditions.users));
  return [...users]
    .sort((left, right) => left - right)
    .map((user) => ({ user, mask: maskOf(blocks, ({ conditions }) => conditions.users.includes(user)) }));
}

function peers(blocks: Block[], version: Family): PeerRule[] {
  const entries: MaskedPrefix[] = [];
  blocks.forEach((block, bit) => {
    const mask = 1n << BigInt(bit);
    for (const { cidrs4, cidrs6 } of [block, ...block.selected]) {
      const prefixes: readonly Prefix[] = version === "ipv4" ? cidrs4 : cidrs6;
      for (const { address, length } of prefixes) entries.push({ address, length, mask });
    }
  });
  return flattenPrefixes(entries, version);
}
