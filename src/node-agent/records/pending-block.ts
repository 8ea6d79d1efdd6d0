/** Lines that become a block: gathered by workload, so that each one's stand together. */
import { encodeBlock } from "./block.ts";
import type { KeptLine } from "./messages.ts";

interface PendingSection {
  namespace: string;
  name: string;
  lines: string[];
}

export class PendingBlock {
  readonly #sections = new Map<string, PendingSection>();
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;
  #lost = 0;
  #count = 0;
  #characters = 0;

  /** How many lines there are. */
  get count(): number {
    return this.#count;
  }

  /** Of all lines. */
  get characters(): number {
    return this.#characters;
  }

  add({ namespace, name, time, lost, line }: KeptLine): void {
    const key = `${namespace}/${name}`;
    let section = this.#sections.get(key);
    if (section === undefined) {
      section = { namespace, name, lines: [] };
      this.#sections.set(key, section);
    }
    section.lines.push(line);
    this.#first = Math.min(this.#first, time);
    this.#last = Math.max(this.#last, time);
    this.#lost += lost;
    this.#count += 1;
    this.#characters += line.length + 1;
  }

  /** The block; empty where there is no line. */
  encode(): Buffer {
    if (this.#count === 0) return Buffer.alloc(0);
    const sections = [...this.#sections.values()].map(({ namespace, name, lines }) => ({
      namespace,
      name,
      text: `${lines.join("\n")}\n`,
    }));
    return encodeBlock({ first: this.#first, last: this.#last, lost: this.#lost }, sections);
  }
}
