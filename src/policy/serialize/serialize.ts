/**
 * Rule tables as text, for the agent's state on disk. Each distinct rule set is written once, masks are hex, and hashes
 * are checked on reading: a file that was cut off or edited is refused, not half believed.
 */
import { TableFormatError } from "../table/errors.ts";
import { rulesetHash } from "../table/rulesets.ts";
import type { RuleTable } from "../table/tables.ts";
import { damaged, hexMasks, parseJson, record } from "./serialize-fields.ts";
import {
  type RulesetContent,
  rulesetContent,
  rulesetsOf,
  TABLE_FORMAT,
  tableOf,
  tableSkeleton,
} from "./serialize-parts.ts";

export { TABLE_FORMAT } from "./serialize-parts.ts";

const textsByTable = new WeakMap<RuleTable, string>();

/** The table as one JSON text; `parseTable` gives the same table back. Tables never change, so the text is made once. */
export function serializeTable(table: RuleTable): string {
  const known = textsByTable.get(table) ?? textOf(table);
  textsByTable.set(table, known);
  return known;
}

function textOf(table: RuleTable): string {
  const rulesets: Record<string, RulesetContent> = {};
  for (const { hash, blockCount: _, ...content } of rulesetsOf(table).values()) rulesets[hash] = content;
  return JSON.stringify({ format: TABLE_FORMAT, ...tableSkeleton(table), rulesets }, hexMasks);
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
  const shared = new Map<string, RulesetContent>();
  return tableOf(root, (hash, blocks) => {
    const content = shared.get(hash) ?? rulesetContent(rulesets[hash], `rulesets.${hash}`);
    if (!shared.has(hash) && rulesetHash(content, blocks.length) !== hash) throw damaged(`rulesets.${hash}`);
    shared.set(hash, content);
    return { ...content, hash, blocks };
  });
}
