/** How many records there were since the start, and of which namespaces. */
import type { KeptLine } from "./messages.ts";

/** A namespace without records for so long is left out, as Hubble does. */
const NAMESPACE_MS = 60 * 60_000;
/** Whoever makes namespaces does not take memory without a bound. */
const NAMESPACES_MAX = 10_000;

export class SeenRecords {
  readonly #since = Date.now();
  /** When a record of each was seen last. */
  readonly #namespaces = new Map<string, number>();
  #count = 0;

  take(lines: readonly KeptLine[]): void {
    this.#count += lines.length;
    const now = Date.now();
    for (const { namespace } of lines) {
      const isKnown = this.#namespaces.has(namespace);
      if (namespace !== "" && (isKnown || this.#namespaces.size < NAMESPACES_MAX)) this.#namespaces.set(namespace, now);
    }
  }

  summary(): { since: number; count: number; namespaces: string[] } {
    const oldest = Date.now() - NAMESPACE_MS;
    for (const [namespace, time] of this.#namespaces) if (time < oldest) this.#namespaces.delete(namespace);
    return { since: this.#since, count: this.#count, namespaces: [...this.#namespaces.keys()].sort() };
  }
}
