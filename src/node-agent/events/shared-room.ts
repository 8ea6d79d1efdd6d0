/**
 * Room for so many values, of which each owner has a share: where it is full, an owner that has its share loses its oldest one for a new one,
 * and one that has less gets its place from whoever has most. So nobody's flood pushes out what is another's.
 */
export class SharedRoom<Owner, Value> {
  readonly #most: number;
  readonly #owners = new Map<Owner, Map<string, Value>>();
  #count = 0;

  /** @param most values of all owners together */
  constructor(most: number) {
    this.#most = most;
  }

  get(owner: Owner, key: string): Value | undefined {
    return this.#owners.get(owner)?.get(key);
  }

  /** Puts a value in, as its owner's newest. Returns what had to go for it; null: nothing. */
  put(owner: Owner, key: string, value: Value): Value | null {
    const values = this.#owners.get(owner) ?? new Map<string, Value>();
    if (values.delete(key)) this.#count -= 1;
    this.#owners.set(owner, values);
    const gone =
      this.#count < this.#most ? null : this.#removeOldest(this.#hasShare(values) ? values : this.#biggest());
    values.set(key, value);
    this.#count += 1;
    return gone;
  }

  /** Takes everything out: one of each owner, the oldest, then the next of each. */
  takeInTurns(): Value[] {
    const lists = [...this.#owners.values()].map((values) => [...values.values()]);
    const longest = lists.reduce((most, { length }) => Math.max(most, length), 0);
    this.#owners.clear();
    this.#count = 0;
    return Array.from({ length: longest }).flatMap((_, turn) => lists.flatMap((list) => list.slice(turn, turn + 1)));
  }

  #hasShare({ size }: ReadonlyMap<string, Value>): boolean {
    return size > 0 && size >= Math.floor(this.#most / this.#owners.size);
  }

  #biggest(): Map<string, Value> {
    return [...this.#owners.values()].reduce((one, other) => (other.size > one.size ? other : one));
  }

  #removeOldest(values: Map<string, Value>): Value | null {
    const [oldest] = values;
    if (oldest === undefined) return null;
    values.delete(oldest[0]);
    this.#count -= 1;
    return oldest[1];
  }
}
