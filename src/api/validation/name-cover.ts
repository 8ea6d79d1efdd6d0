/** A list of name patterns that is asked for many names: the cost grows with the labels of the name, not with the list. */

/** Patterns are normalised: `*`, `*.example.com`, or one name. */
export class NameCover {
  readonly #names = new Set<string>();
  /** What stands below a wildcard of the list, without `*.`; "" is any name. */
  readonly #wildcards = new Set<string>();
  /** Every domain that something of the list is below. */
  readonly #parents = new Set<string>();

  constructor(patterns: Iterable<string>) {
    for (const pattern of patterns) {
      this.#names.add(pattern);
      if (pattern === "*") this.#wildcards.add("");
      else if (pattern.startsWith("*.")) this.#wildcards.add(pattern.slice(2));
      for (const parent of parentsOf(pattern)) this.#parents.add(parent);
    }
  }

  /** Whether some pattern covers all names that this one stands for. */
  covers(name: string): boolean {
    if (this.#names.has(name)) return true;
    return this.#wildcards.size > 0 && parentsOf(name).some((parent) => this.#wildcards.has(parent));
  }

  /** Whether the name is a wildcard that covers some pattern. */
  hasBelow(name: string): boolean {
    if (name === "*") return this.#names.size > 0;
    return name.startsWith("*.") && this.#parents.has(name.slice(2));
  }
}

/** Of `a.b.c`: `b.c`, `c` and "", the root. */
function parentsOf(name: string): string[] {
  const labels = name.split(".");
  return labels.map((_, index) => labels.slice(index + 1).join("."));
}
