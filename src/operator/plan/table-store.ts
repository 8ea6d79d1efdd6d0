/** Tables that some policy or pod has, as they go over the wire. Rule sets that several tables refer to are kept once. */
import type { SentRuleset, SentTable } from "../../protocol/state-message.ts";
import type { CompiledContent } from "../profiles/messages.ts";

export interface StoredTable extends SentTable {
  /** Keys. */
  profiles: readonly string[];
  actions: readonly string[];
  /** Names of containers that the table tells apart. */
  containers: readonly string[];
}

export class TableStore {
  readonly #uses = new Map<StoredTable, number>();
  readonly #rulesets = new Map<string, { ruleset: SentRuleset; uses: number }>();
  readonly #tables = new Map<string, StoredTable>();

  /** Tables by hash. */
  get tables(): ReadonlyMap<string, StoredTable> {
    return this.#tables;
  }

  get size(): number {
    return this.#tables.size;
  }

  /**
   * The table with this content, held once more; of tables with one hash, one is kept.
   * @returns null if a rule set is neither in the content nor known
   */
  add(content: CompiledContent): StoredTable | null {
    const known = this.#tables.get(content.hash);
    const table = known ?? this.#make(content);
    if (table !== null) this.hold(table);
    return table;
  }

  /** Somebody has the table from now on. */
  hold(table: StoredTable): void {
    const uses = this.#uses.get(table) ?? 0;
    this.#uses.set(table, uses + 1);
    if (uses > 0) return;
    this.#tables.set(table.hash, table);
    for (const [hash, ruleset] of table.rulesets) {
      const known = this.#rulesets.get(hash);
      if (known === undefined) this.#rulesets.set(hash, { ruleset, uses: 1 });
      else known.uses += 1;
    }
  }

  /** And no longer. */
  release(table: StoredTable): void {
    const uses = (this.#uses.get(table) ?? 0) - 1;
    if (uses > 0) {
      this.#uses.set(table, uses);
      return;
    }
    if (!this.#uses.delete(table)) return;
    this.#tables.delete(table.hash);
    for (const hash of table.rulesets.keys()) {
      const known = this.#rulesets.get(hash);
      if (known === undefined) continue;
      known.uses -= 1;
      if (known.uses === 0) this.#rulesets.delete(hash);
    }
  }

  #make({ hash, profiles, actions, containers, content, rulesets }: CompiledContent): StoredTable | null {
    const sent = new Map<string, SentRuleset>();
    for (const { hash: of, content: bytes, delta } of rulesets) {
      const known = this.#rulesets.get(of)?.ruleset;
      if (known === undefined && bytes === null) return null;
      const ruleset = known ?? { hash: of, content: bytes as Uint8Array, delta };
      // The latest difference is from what most agents hold.
      if (delta !== null) ruleset.delta = delta;
      sent.set(of, ruleset);
    }
    return { hash, profiles, actions, containers, content, rulesets: sent };
  }
}
