/** Counts by key, of which there are so many at most: what further ones would count is counted together, under `~other`. */

/** Stands for all keys that there was no room for; no name, path or namespace is one. */
export const OTHER = "~other";
export const KEYS_MAX = 10_000;

export interface TallyRow<Measure extends string> {
  key: readonly string[];
  counts: Readonly<Record<Measure, number>>;
}

export class Tally<Measure extends string> {
  readonly #measures: readonly Measure[];
  readonly #keysMax: number;
  readonly #rows = new Map<string, { key: readonly string[]; counts: Record<Measure, number> }>();

  constructor(measures: readonly Measure[], keysMax = KEYS_MAX) {
    this.#measures = measures;
    this.#keysMax = keysMax;
  }

  add(key: readonly string[], counts: Partial<Readonly<Record<Measure, number>>>): void {
    const row = this.#rowOf(key);
    for (const measure of this.#measures) row[measure] += counts[measure] ?? 0;
  }

  /** The largest first by the measures in this order; what is equal, by its key. `~other` is the last. */
  rows(order: readonly Measure[]): TallyRow<Measure>[] {
    return [...this.#rows.values()].sort((one, other) => {
      const byRoom = Number(isOther(one.key)) - Number(isOther(other.key));
      if (byRoom !== 0) return byRoom;
      for (const measure of order) {
        if (one.counts[measure] !== other.counts[measure]) return other.counts[measure] - one.counts[measure];
      }
      return one.key.join("\0") < other.key.join("\0") ? -1 : 1;
    });
  }

  #rowOf(key: readonly string[]): Record<Measure, number> {
    const id = key.join("\0");
    const known = this.#rows.get(id);
    if (known !== undefined) return known.counts;
    if (this.#rows.size >= this.#keysMax && !isOther(key)) return this.#rowOf(key.map(() => OTHER));
    const counts = Object.fromEntries(this.#measures.map((measure) => [measure, 0])) as Record<Measure, number>;
    this.#rows.set(id, { key, counts });
    return counts;
  }
}

function isOther(key: readonly string[]): boolean {
  return key.every((part) => part === OTHER);
}
