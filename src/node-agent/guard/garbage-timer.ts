/** Removes from the kernel what was replaced, once nothing can be looking at it, and what nothing refers to. */

import type { Logger } from "../../telemetry/logger.ts";
import type { Enforcement } from "../enforce/enforcement.ts";
import type { ReconcileTimer } from "./reconcile-timer.ts";

/** A little more than the enforcer's grace. */
const COLLECT_MS = 1_100;

export class GarbageTimer {
  readonly #enforcement: Enforcement;
  readonly #timer: ReconcileTimer;
  readonly #log: Logger;
  #soon: NodeJS.Timeout | null = null;

  constructor(enforcement: Enforcement, timer: ReconcileTimer, log: Logger) {
    this.#enforcement = enforcement;
    this.#timer = timer;
    this.#log = log;
  }

  /** Something may have been replaced: it is removed after the enforcer's grace. Edits without end do not put that off. */
  collectLater(): void {
    this.#soon ??= setTimeout(() => {
      this.#soon = null;
      this.#timer.attempt("remove what was replaced", () => {
        if (this.#enforcement.enforcer.collect()) this.collectLater();
      });
    }, COLLECT_MS);
  }

  /** Makes room for workloads that have many paths or sockets. */
  makeRoom(): void {
    this.#timer.attempt("make room among the paths", () => {
      const removed = this.#enforcement.collectPaths();
      if (removed > 0) this.#log.debug({ removed }, "removed paths that nothing refers to");
    });
    this.#timer.attempt("count the registered sockets", () => this.#enforcement.recountSockets());
  }

  close(): void {
    if (this.#soon !== null) clearTimeout(this.#soon);
  }
}
