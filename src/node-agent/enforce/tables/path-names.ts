/** Paths have numbers in the kernel. Both sides give them out, from ranges of their own; the first one to come counts. */
import { InternalError } from "../../../api/errors.ts";
import { PATH_ID_USER } from "../../../gen/abi.gen.ts";
import type { PathMaps } from "./rule-maps.ts";

export class PathNames {
  readonly #maps: PathMaps;
  /** The kernel's numbers, as far as they were asked for. */
  readonly #kernels = new Map<number, string>();
  /** Ours, all of them. */
  readonly #ours = new Map<number, string>();
  #next = PATH_ID_USER;

  /** Finds the numbers that earlier agents gave out. */
  constructor(maps: PathMaps) {
    this.#maps = maps;
    for (const [{ text }, id] of maps.paths.entries()) {
      if (id < PATH_ID_USER) continue;
      this.#ours.set(id, text);
      if (id >= this.#next) this.#next = id + 1;
    }
  }

  /** How many paths the kernel has room for. */
  get capacity(): number {
    return this.#maps.paths.maxEntries;
  }

  /** The number of a path, given out now if it had none. @throws KernelError with E2BIG if the map is full. */
  intern(text: string): number {
    const known = this.#maps.paths.get({ text });
    if (known !== undefined) return known;
    const id = this.#next;
    if (this.#maps.paths.add({ text }, id)) {
      this.#next += 1;
      this.#ours.set(id, text);
      return id;
    }
    const theirs = this.#maps.paths.get({ text });
    if (theirs === undefined) throw new InternalError(`path ${text} is neither there nor can it be added`);
    return theirs;
  }

  /** The path behind a number, null if it has been collected, or never was. */
  text(id: number): string | null {
    if (id === 0) return null;
    if (id >= PATH_ID_USER) return this.#ours.get(id) ?? null;
    const known = this.#kernels.get(id) ?? this.#maps.pathTexts.get(id)?.text;
    if (known === undefined) return null;
    this.#kernels.set(id, known);
    return known;
  }

  /**
   * Removes paths that nothing refers to. Executables come and go (builds, temporary folders), and a full map would leave
   * new ones without a name.
   * @param referenced numbers in use, looked up afresh at each call: a process may start while this runs
   * @returns how many were removed
   */
  collect(referenced: () => ReadonlySet<number>): number {
    const inUse = referenced();
    const removed = new Map<number, string>();
    for (const [{ text }, id] of [...this.#maps.paths.entries()]) {
      if (!inUse.has(id) && this.#maps.paths.delete({ text })) removed.set(id, text);
    }
    // A process that started in between took the number of a path that was then removed: the path gets it back.
    const after = removed.size === 0 ? inUse : referenced();
    for (const [id, text] of removed) {
      if (after.has(id) && this.#maps.paths.add({ text }, id)) removed.delete(id);
    }
    for (const id of removed.keys()) this.#forget(id);
    return removed.size;
  }

  #forget(id: number): void {
    this.#kernels.delete(id);
    this.#ours.delete(id);
    if (id < PATH_ID_USER) this.#maps.pathTexts.delete(id);
  }
}
