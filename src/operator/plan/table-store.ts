/**
 * Tables that some policy or pod has, as they go over the wire. Rule sets that several tables refer to are kept once. All of it is in
 * memory, so that each namespace may have so much and no more.
 */
import { splitKey } from "../../kube/resources.ts";
import type { SentRuleset, SentTable } from "../../protocol/state-message.ts";
import type { CompiledContent } from "../profiles/messages.ts";

export interface StoredTable extends SentTable {
  /** Keys. */
  profiles: readonly string[];
  actions: readonly string[];
  /** Names of containers that the table tells apart. */
  containers: readonly string[];
}

/** Of one namespace: a million prefixes, or so. */
export const MAX_NAMESPACE_BYTES = 64 * 1024 * 1024;

/** Counts for the namespace that had it first. */
interface KeptRuleset {
  ruleset: SentRuleset;
  uses: number;
  namespace: string;
}

export class TableStore {
  readonly #bytes = new Map<string, number>();
  readonly #listeners = new Set<(namespace: string) => void>();
  readonly #uses = new Map<StoredTable, number>();
  readonly #rulesets = new Map<string, KeptRuleset>();
  readonly #tables = new Map<string, StoredTable>();

  /** Tables by hash. */
  get tables(): ReadonlyMap<string, StoredTable> {
    return this.#tables;
  }

  get size(): number {
    return this.#tables.size;
  }

  /** Calls the listener when a namespace has more room than before. */
  subscribe(listener: (namespace: string) => void): void {
    this.#listeners.add(listener);
  }

  /** Bytes by which the content would take more than its namespace may have; not above 0: there is room for it. */
  excess(content: CompiledContent): number {
    if (this.#tables.has(content.hash)) return 0;
    const fresh = content.rulesets.filter(({ hash }) => !this.#rulesets.has(hash));
    const bytes = fresh.reduce((sum, ruleset) => sum + (ruleset.content?.length ?? 0), content.content.length);
    return (this.#bytes.get(namespaceOf(content)) ?? 0) + bytes - MAX_NAMESPACE_BYTES;
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
    const namespace = namespaceOf(table);
    this.#tables.set(table.hash, table);
    this.#count(namespace, table.content.length);
    for (const [hash, ruleset] of table.rulesets) {
      const known = this.#rulesets.get(hash);
      if (known === undefined) {
        this.#rulesets.set(hash, { ruleset, uses: 1, namespace });
        this.#count(namespace, ruleset.content.length);
      } else known.uses += 1;
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
    const namespaces = new Set([namespaceOf(table)]);
    this.#count(namespaceOf(table), -table.content.length);
    for (const hash of table.rulesets.keys()) {
      const known = this.#rulesets.get(hash);
      if (known === undefined) continue;
      known.uses -= 1;
      if (known.uses > 0) continue;
      this.#rulesets.delete(hash);
      this.#count(known.namespace, -known.ruleset.content.length);
      namespaces.add(known.namespace);
    }
    for (const listener of this.#listeners) for (const namespace of namespaces) listener(namespace);
  }

  #count(namespace: string, bytes: number): void {
    const sum = (this.#bytes.get(namespace) ?? 0) + bytes;
    if (sum === 0) this.#bytes.delete(namespace);
    else this.#bytes.set(namespace, sum);
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

/** Profiles of a table are of one namespace. */
function namespaceOf({ profiles }: { profiles: readonly string[] }): string {
  return splitKey(profiles[0] ?? "").namespace;
}
