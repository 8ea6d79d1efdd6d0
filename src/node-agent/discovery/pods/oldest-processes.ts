/**
 * Which of some processes are the oldest. By number they are in no order: numbers are used again. A pod may have tens of thousands, and is
 * looked at often: so when a process began is read once, and again only of those that are found to be the oldest.
 */
import { processStart } from "./pod-processes.ts";

export interface FoundProcess {
  pid: number;
  /** Clock ticks since boot. */
  start: number;
}

export class OldestProcesses {
  readonly #startOf: (pid: number) => number | null;
  readonly #starts = new Map<number, number>();

  constructor(startOf = processStart) {
    this.#startOf = startOf;
  }

  /** Those of `pids` that are alive, at most so many, the oldest first. */
  of(pids: readonly number[], most: number): FoundProcess[] {
    for (const pid of pids) if (!this.#starts.has(pid)) this.#read(pid);
    for (;;) {
      const oldest = pids
        .flatMap((pid) => ({ pid, start: this.#starts.get(pid) ?? Number.NaN }))
        .filter(({ start }) => !Number.isNaN(start))
        .sort((a, b) => a.start - b.start || a.pid - b.pid)
        .slice(0, most);
      // A number that another process has by now looks older than that one is.
      if (oldest.map(({ pid, start }) => this.#read(pid) === start).every(Boolean)) return oldest;
    }
  }

  /** Forgets processes that are no more. */
  keep(pids: ReadonlySet<number>): void {
    for (const pid of this.#starts.keys()) if (!pids.has(pid)) this.#starts.delete(pid);
  }

  #read(pid: number): number | null {
    const start = this.#startOf(pid);
    if (start === null) this.#starts.delete(pid);
    else this.#starts.set(pid, start);
    return start;
  }
}
