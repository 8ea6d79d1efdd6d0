/** What events need of a rule table: where its rules come from. */
import type { Direction } from "../../api/reasons.ts";
import type { Action } from "../../api/types.ts";
import type { BlockOrigin, RuleTable } from "../../policy/table/tables.ts";

type Origins = Record<Direction, { readonly blocks: readonly BlockOrigin[] }>;

/** A rule table without its rules, of which there may be many thousands. */
export interface TableOrigins {
  readonly actions: readonly Action[];
  readonly profiles: readonly string[];
  readonly default: Origins | null;
  readonly binaries: readonly Origins[];
}

/** Tables that are remembered at most, and blocks of all of them. */
const REMEMBERED_TABLES = 256;
const REMEMBERED_BLOCKS = 100_000;

/** Tables that were in force last, for events that are still on their way. */
export class RememberedTables {
  readonly #tables = new Map<number, { origins: TableOrigins; blocks: number }>();
  #blocks = 0;

  get(id: number): TableOrigins | null {
    return this.#tables.get(id)?.origins ?? null;
  }

  /** Remembers a table, and forgets the oldest ones if they are too many. */
  put(id: number, table: RuleTable): void {
    const known = this.#tables.get(id) ?? remembered(table);
    this.#blocks += this.#tables.delete(id) ? 0 : known.blocks;
    this.#tables.set(id, known);
    for (const [oldest, { blocks }] of this.#tables) {
      if (oldest === id || (this.#tables.size <= REMEMBERED_TABLES && this.#blocks <= REMEMBERED_BLOCKS)) break;
      this.#tables.delete(oldest);
      this.#blocks -= blocks;
    }
  }
}

function remembered({ actions, profiles, default: fallback, binaries }: RuleTable): {
  origins: TableOrigins;
  blocks: number;
} {
  const origins = { actions, profiles, default: fallback && originsOf(fallback), binaries: binaries.map(originsOf) };
  const all = fallback === null ? binaries : [fallback, ...binaries];
  // A binary costs memory though it has no block.
  const blocks = all.reduce((sum, { egress, ingress }) => sum + 1 + egress.blocks.length + ingress.blocks.length, 0);
  return { origins, blocks };
}

function originsOf({ egress, ingress }: Origins): Origins {
  return { egress: { blocks: egress.blocks }, ingress: { blocks: ingress.blocks } };
}
