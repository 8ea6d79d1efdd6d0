/** The union of rule sets that are compiled already: what any of them allows. */
import { CompileError } from "./errors.ts";
import { compareText, flattenNames, type NameGrant, restoreName } from "./names.ts";
import { flattenPorts, PORT_MAX, type PortGrant } from "./ports.ts";
import { type Family, flattenPrefixes, type MaskedPrefix, parsePrefix } from "./prefixes.ts";
import { EMPTY_RULESET, rulesetHash } from "./rulesets.ts";
import { type AncestorRule, type BlockMask, MAX_BLOCKS, type PeerRule, type Ruleset, type UserRule } from "./tables.ts";

/** A rule set whose bits are moved out of the way of the others'. */
interface Shifted {
  ruleset: Ruleset;
  move: (mask: BlockMask) => BlockMask;
}

/**
 * Unites rule sets; one that is there twice counts once. Blocks keep their order, those of the first rule set first.
 * `subject` names the binary in messages.
 * @throws CompileError above 64 blocks, the width of a mask.
 */
export function uniteRulesets(rulesets: readonly Ruleset[], subject: string): Ruleset {
  const distinct = [...new Map(rulesets.map((ruleset) => [identity(ruleset), ruleset])).values()].filter(
    ({ hash }) => hash !== "",
  );
  const [only] = distinct;
  if (only === undefined) return EMPTY_RULESET;
  if (distinct.length === 1) return only;
  const blocks = distinct.flatMap((ruleset) => ruleset.blocks);
  if (blocks.length > MAX_BLOCKS) {
    throw new CompileError(
      `${blocks.length} blocks of rules meet in ${subject}, to which several listed paths lead; at most ${MAX_BLOCKS} can be united: ` +
        "list the file once, under its own name",
    );
  }
  const content = unitedContent(shifted(distinct));
  return { hash: rulesetHash(content, blocks.length), blocks, ...content };
}

function unitedContent(parts: Shifted[]): Omit<Ruleset, "hash" | "blocks"> {
  const union = (mask: (ruleset: Ruleset) => BlockMask) =>
    parts.reduce((sum, { ruleset, move }) => sum | move(mask(ruleset)), 0n);
  return {
    ethertype: {
      ipv4: union(({ ethertype }) => ethertype.ipv4),
      ipv6: union(({ ethertype }) => ethertype.ipv6),
      arp: union(({ ethertype }) => ethertype.arp),
    },
    peers4: flattenPrefixes(
      prefixes(parts, ({ peers4 }) => peers4, "ipv4"),
      "ipv4",
    ),
    peers6: flattenPrefixes(
      prefixes(parts, ({ peers6 }) => peers6, "ipv6"),
      "ipv6",
    ),
    ports: flattenPorts(parts.flatMap(portGrants)),
    anyApplication: union(({ anyApplication }) => anyApplication),
    application: {
      dns: union(({ application }) => application.dns),
      http: union(({ application }) => application.http),
      tls: union(({ application }) => application.tls),
    },
    askAny: union(({ askAny }) => askAny),
    askRecords: union(({ askRecords }) => askRecords),
    fqdn: union(({ fqdn }) => fqdn),
    anyBinary: union(({ anyBinary }) => anyBinary),
    ancestors: uniteAncestors(parts),
    users: uniteUsers(parts),
    names: flattenNames(parts.flatMap(nameGrants)),
  };
}

function uniteAncestors(parts: Shifted[]): AncestorRule[] {
  const rules = parts.flatMap(({ ruleset, move }) =>
    ruleset.ancestors.map(({ path, below, notBelow }) => ({ path, below: move(below), notBelow: move(notBelow) })),
  );
  return mergeAncestors(rules);
}

function uniteUsers(parts: Shifted[]): UserRule[] {
  const masks = new Map<number, BlockMask>();
  for (const { ruleset, move } of parts)
    for (const { user, mask } of ruleset.users) masks.set(user, (masks.get(user) ?? 0n) | move(mask));
  return [...masks].sort(([left], [right]) => left - right).map(([user, mask]) => ({ user, mask }));
}

/**
 * A rule set for a container: a listed ancestor that is a link there stands for the file that it leads to as well. The same rule
 * set where none is.
 */
export function withAncestorFiles(ruleset: Ruleset, fileOf: (path: string) => string): Ruleset {
  const linked = ruleset.ancestors.filter(({ path }) => fileOf(path) !== path);
  if (linked.length === 0) return ruleset;
  const files = linked.map((rule) => ({ ...rule, path: fileOf(rule.path) }));
  const { hash: _, blocks, ...content } = ruleset;
  const fitted = { ...content, ancestors: mergeAncestors([...ruleset.ancestors, ...files]) };
  return { hash: rulesetHash(fitted, blocks.length), blocks, ...fitted };
}

/** One rule for each path, sorted. */
function mergeAncestors(rules: readonly AncestorRule[]): AncestorRule[] {
  const merged = new Map<string, AncestorRule>();
  for (const { path, below, notBelow } of rules) {
    const known = merged.get(path);
    merged.set(path, { path, below: below | (known?.below ?? 0n), notBelow: notBelow | (known?.notBelow ?? 0n) });
  }
  return [...merged.values()].sort((left, right) => compareText(left.path, right.path));
}

function shifted(rulesets: readonly Ruleset[]): Shifted[] {
  let bits = 0n;
  return rulesets.map((ruleset) => {
    const by = bits;
    bits += BigInt(ruleset.blocks.length);
    return { ruleset, move: (mask) => mask << by };
  });
}

/** What lies around a prefix is in its mask already; to say it again changes nothing. */
function prefixes(parts: Shifted[], rules: (ruleset: Ruleset) => PeerRule[], family: Family): MaskedPrefix[] {
  return parts.flatMap(({ ruleset, move }) =>
    rules(ruleset).map(({ address, prefixLength, mask }) => ({
      ...parsePrefix(`${address}/${prefixLength}`, family),
      mask: move(mask),
    })),
  );
}

function portGrants({ ruleset, move }: Shifted): PortGrant[] {
  return ruleset.ports.map(({ protocol, port, portPrefix, mask }) => ({
    protocol,
    first: port,
    last: protocol === null ? PORT_MAX : port + 2 ** (16 - portPrefix) - 1,
    mask: move(mask),
  }));
}

function nameGrants({ ruleset, move }: Shifted): NameGrant[] {
  return ruleset.names.flatMap(({ text, exactAsk, exactConnect, belowAsk, belowConnect }) => {
    const name = text === "" ? null : restoreName(text);
    const below = name === null ? "*" : `*.${name}`;
    const grant = (pattern: string, ask: boolean, mask: BlockMask) =>
      mask === 0n ? [] : [{ pattern, mask: move(mask), ask, connect: !ask }];
    const exact = name === null ? [] : [...grant(name, true, exactAsk), ...grant(name, false, exactConnect)];
    return [...exact, ...grant(below, true, belowAsk), ...grant(below, false, belowConnect)];
  });
}

function identity({ hash, blocks }: Ruleset): string {
  return JSON.stringify([hash, blocks.map(({ profile, field }) => [profile, field])]);
}
