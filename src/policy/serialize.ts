/**
 * Rule tables as text, for the agent's state on disk and for the wire. Each distinct rule set is written once, masks
 * are hex, and hashes are checked on reading: a file that was cut off or edited is refused, not half believed.
 */
import { ACTIONS, ATTACKS } from "../api/types.ts";
import { tableHash } from "./compile.ts";
import { TableFormatError } from "./errors.ts";
import { EMPTY_RULESET, rulesetHash } from "./rulesets.ts";
import type { BinaryRules, BlockOrigin, Ruleset, RuleTable } from "./tables.ts";

/** Raised with every incompatible change of the text. */
export const TABLE_FORMAT = 1;

type RulesetContent = Omit<Ruleset, "hash" | "blocks">;

interface RulesetReference {
  ruleset: string;
  blocks: BlockOrigin[];
}

/** The table as one JSON text; `parseTable` gives the same table back. */
export function serializeTable(table: RuleTable): string {
  const rulesets: Record<string, RulesetContent> = {};
  const refer = ({ hash, blocks, ...content }: Ruleset): RulesetReference => {
    if (hash !== "") rulesets[hash] = content;
    return { ruleset: hash, blocks };
  };
  const binaries = table.binaries.map((binary) => ({
    ...binary,
    egress: refer(binary.egress),
    ingress: refer(binary.ingress),
  }));
  const fallback = table.default && { egress: refer(table.default.egress), ingress: refer(table.default.ingress) };
  return JSON.stringify(
    { format: TABLE_FORMAT, ...table, default: fallback, binaries, rulesets },
    (_, value: unknown) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value),
  );
}

/**
 * Reads what `serializeTable` wrote.
 * @throws TableFormatError if it is anything else, or its content does not have the hashes it claims.
 */
export function parseTable(text: string): RuleTable {
  const root = record(parseJson(text), "table");
  if (root.format !== TABLE_FORMAT) {
    throw new TableFormatError(`rule table has format ${String(root.format)}, this version reads ${TABLE_FORMAT}`);
  }
  const rulesets = record(root.rulesets, "rulesets");
  const shared = new Map<string, RulesetContent & { hash: string }>();
  const resolve = (value: unknown, field: string): Ruleset => {
    const reference = record(value, field);
    const hash = string(reference.ruleset, `${field}.ruleset`);
    if (hash === "") return EMPTY_RULESET;
    const blocks = array(reference.blocks, `${field}.blocks`).map((block, index) =>
      origin(block, `${field}.blocks[${index}]`),
    );
    const content = shared.get(hash) ?? rulesetContent(rulesets[hash], `rulesets.${hash}`);
    if (!shared.has(hash) && rulesetHash(content, blocks.length) !== hash) throw damaged(`rulesets.${hash}`);
    shared.set(hash, { hash, ...content });
    return { ...content, hash, blocks };
  };
  const fallback = root.default === null ? null : record(root.default, "default");
  const content: Omit<RuleTable, "hash"> = {
    profiles: array(root.profiles, "profiles").map((name, index) => string(name, `profiles[${index}]`)),
    actions: array(root.actions, "actions").map((action) => oneOf(action, ACTIONS, "actions")),
    attacks: array(root.attacks, "attacks").map((attack) => oneOf(attack, ATTACKS, "attacks")),
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

function rulesetContent(value: unknown, field: string): RulesetContent {
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
    fqdn: mask(set.fqdn, `${field}.fqdn`),
    anyBinary: mask(set.anyBinary, `${field}.anyBinary`),
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

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TableFormatError(`rule table is not JSON: ${(error as Error).message}`);
  }
}

function record(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(field, "an object");
  return value as Record<string, unknown>;
}

function array(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(field, "a list");
  return value;
}

function string(value: unknown, field: string): string {
  if (typeof value !== "string") throw wrong(field, "text");
  return value;
}

function number(value: unknown, field: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw wrong(field, "a whole number");
  return value;
}

function mask(value: unknown, field: string): bigint {
  if (typeof value !== "string" || !/^0x[0-9a-f]{1,16}$/.test(value)) throw wrong(field, "a hex mask of 64 bits");
  return BigInt(value);
}

function oneOf<T extends string>(value: unknown, known: readonly T[], field: string): T {
  const found = known.find((item) => item === value);
  if (found === undefined) throw wrong(field, `one of ${known.join(", ")}`);
  return found;
}

function wrong(field: string, expected: string): TableFormatError {
  return new TableFormatError(`rule table: ${field} is not ${expected}; compile the profiles again`);
}

function damaged(field: string): TableFormatError {
  return new TableFormatError(
    `rule table: ${field} does not have the content that its hash stands for; compile the profiles again`,
  );
}
