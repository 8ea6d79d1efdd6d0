/** The union of rule sets that are compiled already: what any of them allows. */
import { CompileError } from "./errors.ts";
import { flattenNames, type NameGrant, restoreName } from "./names.ts";
import { flattenPorts, PORT_MAX, type PortGrant } from "./ports.ts";
import { type Family, flattenPrefixes, type MaskedPrefix, parsePrefix } from "./prefixes.ts";
import { EMPTY_RULESET, rulesetHash } from "./rulesets.ts";
import { type BlockMask, MAX_BLOCKS, type PeerRule, type Ruleset } from "./tables.ts";

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
    names: flattenNames(parts.flatMap(nameGrants)),
  };
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
