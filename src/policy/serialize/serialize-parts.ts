/**
 * Rule tables in parts, for the wire: each rule set by itself, and the table with rule sets by their hashes. What has a
 * hash is checked against it on reading.
 */
import { ACTIONS, ATTACKS, EPHEMERAL_MODES } from "../../api/types.ts";
import { TableFormatError } from "../table/errors.ts";
import { EMPTY_RULESET, rulesetHash } from "../table/rulesets.ts";
import { tableHash } from "../table/table-hash.ts";
import type { BinaryRules, BlockOrigin, Ruleset, RuleTable } from "../table/tables.ts";
import { array, damaged, hexMasks, mask, number, oneOf, parseJson, record, string } from "./serialize-fields.ts";

/** Raised with every incompatible change of the texts. */
export const TABLE_FORMAT = 2;

/** A rule set without the origins of its blocks, which belong to the table: tables of other profiles share it. */
export interface SharedRuleset extends Omit<Ruleset, "blocks"> {
  /** How many blocks there are, one bit of every mask each. */
  blockCount: number;
}

export type RulesetContent = Omit<Ruleset, "hash" | "blocks">;

interface RulesetReference {
  ruleset: string;
  blocks: BlockOrigin[];
}

const rulesetsByTable = new WeakMap<RuleTable, ReadonlyMap<string, SharedRuleset>>();

/** The rule sets of a table by hash, the empty one left out. Tables never change, so they are gathered once. */
export function rulesetsOf(table: RuleTable): ReadonlyMap<string, SharedRuleset> {
  const known = rulesetsByTable.get(table) ?? gatherRulesets(table);
  rulesetsByTable.set(table, known);
  return known;
}

function gatherRulesets(table: RuleTable): Map<string, SharedRuleset> {
  const rulesets = new Map<string, SharedRuleset>();
  for (const sides of [...table.binaries, ...(table.default ? [table.default] : [])]) {
    for (const { blocks, ...content } of [sides.egress, sides.ingress]) {
      if (content.hash !== "") rulesets.set(content.hash, { ...content, blockCount: blocks.length });
    }
  }
  return rulesets;
}

/** One rule set as JSON text. */
export function serializeRuleset({ hash: _, ...content }: SharedRuleset): string {
  return JSON.stringify({ format: TABLE_FORMAT, ...content }, hexMasks);
}

/**
 * Reads what `serializeRuleset` wrote.
 * @throws TableFormatError if it is anything else, or has another hash.
 */
export function parseRuleset(text: string, hash: string): SharedRuleset {
  const root = formatted(text, "rule set");
  const blockCount = number(root.blockCount, "blockCount");
  const content = rulesetContent(root, "ruleset");
  if (rulesetHash(content, blockCount) !== hash) throw damaged(`ruleset ${hash}`);
  return { hash, blockCount, ...content };
}

/** The table as JSON values, its rule sets by hash. */
export function tableSkeleton(table: RuleTable) {
  const refer = ({ hash, blocks }: Ruleset): RulesetReference => ({ ruleset: hash, blocks });
  return {
    ...table,
    default: table.default && { egress: refer(table.default.egress), ingress: refer(table.default.ingress) },
    binaries: table.binaries.map((binary) => ({
      ...binary,
      egress: refer(binary.egress),
      ingress: refer(binary.ingress),
    })),
  };
}

/** The table as JSON text, its rule sets by hash. */
export function serializeSkeleton(table: RuleTable): string {
  return JSON.stringify({ format: TABLE_FORMAT, ...tableSkeleton(table) });
}

/**
 * Reads what `serializeSkeleton` wrote.
 * @param find the rule set of a hash
 * @throws TableFormatError if it is anything else, a rule set is missing, or it has another hash.
 */
export function parseSkeleton(text: string, find: (hash: string) => SharedRuleset | undefined): RuleTable {
  return tableOf(formatted(text, "rule table"), (hash, blocks) => {
    const shared = find(hash);
    if (shared === undefined)
      throw new TableFormatError(`rule table: rule set ${hash} is missing; send it with the table`);
    if (shared.blockCount !== blocks.length) throw damaged(`ruleset ${hash}`);
    const { blockCount: _, ...content } = shared;
    return { ...content, blocks };
  });
}

function formatted(text: string, what: string): Record<string, unknown> {
  const root = record(parseJson(text), what);
  if (root.format === TABLE_FORMAT) return root;
  throw new TableFormatError(`${what} has format ${String(root.format)}, this version reads ${TABLE_FORMAT}`);
}

/** A table from JSON values. `ruleset` gives the rule set of a hash with the origins of its blocks. */
export function tableOf(
  root: Record<string, unknown>,
  ruleset: (hash: string, blocks: BlockOrigin[]) => Ruleset,
): RuleTable {
  const resolve = (value: unknown, field: string): Ruleset => {
    const reference = record(value, field);
    const hash = string(reference.ruleset, `${field}.ruleset`);
    if (hash === "") return EMPTY_RULESET;
    const blocks = array(reference.blocks, `${field}.blocks`).map((block, index) =>
      origin(block, `${field}.blocks[${index}]`),
    );
    return ruleset(hash, blocks);
  };
  const fallback = root.default === null ? null : record(root.default, "default");
  const content: Omit<RuleTable, "hash"> = {
    profiles: array(root.profiles, "profiles").map((name, index) => string(name, `profiles[${index}]`)),
    actions: array(root.actions, "actions").map((action) => oneOf(action, ACTIONS, "actions")),
    attacks: array(root.attacks, "attacks").map((attack) => oneOf(attack, ATTACKS, "attacks")),
    ephemeralContainers:
      root.ephemeralContainers === undefined
        ? "Include"
        : oneOf(root.ephemeralContainers, EPHEMERAL_MODES, "ephemeralContainers"),
    default: fallback && {
      egress: resolve(fallback.egress, "default.egress"),
      ingress: resolve(fallback.ingress, "default.ingress"),
    },
    binaries: array(root.binaries, "binaries").map((value, index): BinaryRules => {
      const field = `binaries[${index}]`;
      const binary = record(value, field);
      return {
        path: string(binary.path, `${field}.path`),
        container: binary.container === null ? null : string(binary.container, `${field}.container`),
        egress: resolve(binary.egress, `${field}.egress`),
        ingress: resolve(binary.ingress, `${field}.ingress`),
      };
    }),
  };
  if (tableHash(content) !== root.hash) throw damaged("table");
  return { hash: tableHash(content), ...content };
}

/** A rule set without its hash, from JSON values. */
export function rulesetContent(value: unknown, field: string): RulesetContent {
  const set = record(value, field);
  const ethertype = record(set.ethertype, `${field}.ethertype`);
  const application = record(set.application, `${field}.application`);
  const peers = (list: unknown, name: string) =>
    array(list, name).map((item) => {
      const rule = record(item, name);
      return {
        address: string(rule.address, `${name}.address`),
        prefixLength: number(rule.prefixLength, `${name}.prefixLength`),
        mask: mask(rule.mask, `${name}.mask`),
      };
    });
  return {
    ethertype: {
      ipv4: mask(ethertype.ipv4, `${field}.ethertype.ipv4`),
      ipv6: mask(ethertype.ipv6, `${field}.ethertype.ipv6`),
      arp: mask(ethertype.arp, `${field}.ethertype.arp`),
    },
    peers4: peers(set.peers4, `${field}.peers4`),
    peers6: peers(set.peers6, `${field}.peers6`),
    ports: array(set.ports, `${field}.ports`).map((item) => {
      const rule = record(item, `${field}.ports`);
      return {
        protocol: rule.protocol === null ? null : number(rule.protocol, `${field}.ports.protocol`),
        port: number(rule.port, `${field}.ports.port`),
        portPrefix: number(rule.portPrefix, `${field}.ports.portPrefix`),
        mask: mask(rule.mask, `${field}.ports.mask`),
      };
    }),
    anyApplication: mask(set.anyApplication, `${field}.anyApplication`),
    application: {
      dns: mask(application.dns, `${field}.application.dns`),
      http: mask(application.http, `${field}.application.http`),
      tls: mask(application.tls, `${field}.application.tls`),
    },
    askAny: mask(set.askAny, `${field}.askAny`),
    askRecords: mask(set.askRecords, `${field}.askRecords`),
    fqdn: mask(set.fqdn, `${field}.fqdn`),
    anyBinary: mask(set.anyBinary, `${field}.anyBinary`),
    // Not there in what former versions have written.
    ancestors: array(set.ancestors ?? [], `${field}.ancestors`).map((item) => {
      const rule = record(item, `${field}.ancestors`);
      return {
        path: string(rule.path, `${field}.ancestors.path`),
        below: mask(rule.below, `${field}.ancestors.below`),
        notBelow: mask(rule.notBelow, `${field}.ancestors.notBelow`),
      };
    }),
    users: array(set.users ?? [], `${field}.users`).map((item) => {
      const rule = record(item, `${field}.users`);
      return { user: number(rule.user, `${field}.users.user`), mask: mask(rule.mask, `${field}.users.mask`) };
    }),
    names: array(set.names, `${field}.names`).map((item) => {
      const rule = record(item, `${field}.names`);
      return {
        text: string(rule.text, `${field}.names.text`),
        exactAsk: mask(rule.exactAsk, `${field}.names.exactAsk`),
        exactConnect: mask(rule.exactConnect, `${field}.names.exactConnect`),
        belowAsk: mask(rule.belowAsk, `${field}.names.belowAsk`),
        belowConnect: mask(rule.belowConnect, `${field}.names.belowConnect`),
      };
    }),
  };
}

function origin(value: unknown, field: string): BlockOrigin {
  const block = record(value, field);
  return { profile: string(block.profile, `${field}.profile`), field: string(block.field, `${field}.field`) };
}
