/**
 * Tables that some policy has, their texts for the wire, and which rule set came of which, so that a difference can be sent. Texts
 * are made once for all nodes, and forgotten when memory for them runs out.
 */
import { serializeRulesetDelta } from "../policy/ruleset-delta.ts";
import { rulesetsOf, type SharedRuleset, serializeRuleset, serializeSkeleton } from "../policy/serialize-parts.ts";
import type { RuleTable } from "../policy/tables.ts";
import type { ContentTexts, Hashes, RulesetDelta } from "../protocol/state-message.ts";

/** Bytes of texts that are kept. */
const MAX_TEXT_BYTES = 24 * 1024 * 1024;
/** Rule sets that were replaced and may still be what an agent holds. */
const MAX_ANCESTORS = 512;

export class TableStore implements ContentTexts {
  readonly #tables = new Map<string, { table: RuleTable; uses: number }>();
  readonly #texts = new Map<string, Uint8Array | null>();
  #textBytes = 0;
  /** By the hash of what replaced them. */
  readonly #ancestors = new Map<string, SharedRuleset>();

  /** Tables by hash. */
  readonly tables: ReadonlyMap<string, RuleTable> = new Map();

  get size(): number {
    return this.#tables.size;
  }

  /** A policy has this table from now on; of tables with one hash, one is kept. */
  add(table: RuleTable): RuleTable {
    const known = this.#tables.get(table.hash);
    if (known !== undefined) {
      known.uses += 1;
      return known.table;
    }
    this.#tables.set(table.hash, { table, uses: 1 });
    (this.tables as Map<string, RuleTable>).set(table.hash, table);
    return table;
  }

  /** And no longer. */
  remove(table: RuleTable): void {
    const known = this.#tables.get(table.hash);
    if (known === undefined) return;
    known.uses -= 1;
    if (known.uses > 0) return;
    this.#tables.delete(table.hash);
    (this.tables as Map<string, RuleTable>).delete(table.hash);
  }

  /** One table takes the place of another: their rule sets may differ by little. */
  replaced(before: RuleTable, after: RuleTable): void {
    for (const binary of after.binaries) {
      const old = before.binaries.find(({ path, container }) => path === binary.path && container === binary.container);
      if (old === undefined) continue;
      for (const direction of ["egress", "ingress"] as const) {
        const [from, to] = [old[direction].hash, binary[direction].hash];
        const ruleset = rulesetsOf(before).get(from);
        if (from === to || to === "" || ruleset === undefined) continue;
        this.#ancestors.delete(to);
        this.#ancestors.set(to, ruleset);
      }
    }
    for (const hash of this.#ancestors.keys()) {
      if (this.#ancestors.size <= MAX_ANCESTORS) break;
      this.#ancestors.delete(hash);
    }
  }

  ruleset(ruleset: SharedRuleset): Uint8Array {
    return this.#text(`r ${ruleset.hash}`, () => Buffer.from(serializeRuleset(ruleset))) as Uint8Array;
  }

  table(table: RuleTable): Uint8Array {
    return this.#text(`t ${table.hash}`, () => Buffer.from(serializeSkeleton(table))) as Uint8Array;
  }

  delta(ruleset: SharedRuleset, held: Hashes): RulesetDelta | null {
    const base = this.#ancestors.get(ruleset.hash);
    if (base === undefined || !held.has(base.hash)) return null;
    const content = this.#text(`d ${base.hash} ${ruleset.hash}`, () => {
      const text = serializeRulesetDelta(base, ruleset);
      return text === null ? null : Buffer.from(text);
    });
    return content === null ? null : { baseHash: base.hash, content };
  }

  #text(key: string, make: () => Uint8Array | null): Uint8Array | null {
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    const text = make();
    this.#texts.set(key, text);
    this.#textBytes += text?.length ?? 0;
    for (const [oldest, old] of this.#texts) {
      if (this.#textBytes <= MAX_TEXT_BYTES || oldest === key) break;
      this.#texts.delete(oldest);
      this.#textBytes -= old?.length ?? 0;
    }
    return text;
  }
}
