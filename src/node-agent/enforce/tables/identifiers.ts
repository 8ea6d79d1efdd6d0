/**
 * Numbers that stand for contents in the kernel: the same content has one number, as long as somebody holds it, and a
 * number that was given back is handed out again as late as possible, so that what still refers to it (a packet on its
 * way, a flow) does not meet another content.
 */
import { CapacityError } from "../errors.ts";

export interface IdentifierOptions {
  /** For the error message: what is numbered, e.g. the map's name. */
  name: string;
  first: number;
  last: number;
}

export class Identifiers {
  readonly #name: string;
  readonly #first: number;
  readonly #last: number;
  readonly #byContent = new Map<string, { id: number; holders: number }>();
  readonly #used = new Set<number>();
  #next: number;

  constructor(options: IdentifierOptions) {
    this.#name = options.name;
    this.#first = options.first;
    this.#last = options.last;
    this.#next = options.first;
  }

  /** The number of a content that is held, or null. */
  find(content: string): number | null {
    return this.#byContent.get(content)?.id ?? null;
  }

  /** Takes one hold on a content. `fresh`: nobody held it, so that it has to be written. @throws CapacityError */
  hold(content: string): { id: number; fresh: boolean } {
    const known = this.#byContent.get(content);
    if (known !== undefined) {
      known.holders += 1;
      return { id: known.id, fresh: false };
    }
    const id = this.#unused();
    this.#used.add(id);
    this.#byContent.set(content, { id, holders: 1 });
    return { id, fresh: true };
  }

  /** Takes over a number that is in use already, from the state file. */
  adopt(content: string, id: number): void {
    const known = this.#byContent.get(content);
    if (known !== undefined) {
      known.holders += 1;
      return;
    }
    this.#used.add(id);
    this.#byContent.set(content, { id, holders: 1 });
    this.startAfter(id);
  }

  /** Marks a number as taken by something unknown, until `free`. */
  reserve(id: number): void {
    this.#used.add(id);
    this.startAfter(id);
  }

  /** Gives a hold back. Returns the number if it was the last one: the caller removes the content, then calls `free`. */
  release(content: string): number | null {
    const known = this.#byContent.get(content);
    if (known === undefined) return null;
    known.holders -= 1;
    if (known.holders > 0) return null;
    this.#byContent.delete(content);
    return known.id;
  }

  /** The number may be handed out again. */
  free(id: number): void {
    this.#used.delete(id);
  }

  isUsed(id: number): boolean {
    return this.#used.has(id);
  }

  startAfter(id: number): void {
    if (id >= this.#next) this.#next = id >= this.#last ? this.#first : id + 1;
  }

  #unused(): number {
    const size = this.#last - this.#first + 1;
    if (this.#used.size >= size) throw new CapacityError(this.#name, `all ${size} numbers are taken`, size);
    let id = this.#next;
    while (this.#used.has(id)) id = id === this.#last ? this.#first : id + 1;
    this.#next = id === this.#last ? this.#first : id + 1;
    return id;
  }
}
