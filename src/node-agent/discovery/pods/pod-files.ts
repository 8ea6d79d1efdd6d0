/** What files of a pod tell, asked for in the background: the last answers are at hand, and whoever wants news is called. */
import type { ForeignFiles } from "../../foreign-files/foreign-files.ts";
import type { PodProcessMounts } from "../../foreign-files/process-files.ts";

export interface PodFilesParts {
  uid: string;
  files: Pick<ForeignFiles, "ask">;
  /** An answer is another than the one before. */
  onNews(): void;
}

export class PodFiles {
  readonly #parts: PodFilesParts;
  readonly #mounts = new Map<number, PodProcessMounts | null>();
  readonly #searchDomains = new Map<number, string[] | null>();
  /** Questions without an answer yet. */
  readonly #asked = new Set<string>();

  constructor(parts: PodFilesParts) {
    this.#parts = parts;
  }

  /** What a process's mounts showed last, and are asked again: they change while the container is made. Null: nothing yet. */
  mounts(pid: number): PodProcessMounts | null {
    const { uid, files } = this.#parts;
    this.#ask(`mounts ${pid}`, pid, this.#mounts, () => files.ask(uid, "mounts", { pid, podUid: uid }));
    return this.#mounts.get(pid) ?? null;
  }

  /** Search list of the resolv.conf in a process's root; null while it is not known. */
  searchDomains(pid: number): string[] | null {
    const { uid, files } = this.#parts;
    this.#ask(`search ${pid}`, pid, this.#searchDomains, () => files.ask(uid, "searchDomains", { pid }));
    return this.#searchDomains.get(pid) ?? null;
  }

  /** Forgets processes that are no more. */
  keep(pids: ReadonlySet<number>): void {
    for (const answers of [this.#mounts, this.#searchDomains]) {
      for (const pid of answers.keys()) if (!pids.has(pid)) answers.delete(pid);
    }
  }

  #ask<T>(question: string, pid: number, answers: Map<number, T>, ask: () => Promise<T>): void {
    if (this.#asked.has(question)) return;
    this.#asked.add(question);
    const take = (answer: T): void => {
      const isNews = JSON.stringify(answers.get(pid) ?? null) !== JSON.stringify(answer);
      answers.set(pid, answer);
      if (isNews) this.#parts.onNews();
    };
    // Why there is no answer is reported by ForeignFiles; the next look asks again.
    void ask()
      .then(take, () => {})
      .finally(() => this.#asked.delete(question));
  }
}
