/** Veth pairs that rtnetlink did not report, or reports in another way than the kernel's programs have seen them. */

import type { Logger } from "../../telemetry/logger.ts";
import type { Workload, WorkloadSource } from "../discovery/workload.ts";
import type { VethPairs } from "../enforce/attach/veth-pairs.ts";
import type { ReconcileTimer } from "./reconcile-timer.ts";

/** About how long a pair that rtnetlink did not report goes unnoticed. */
const PAIRS_MS = 20;

export class PairWatch {
  readonly #pairs: VethPairs;
  readonly #log: Logger;
  readonly #poll: NodeJS.Timeout;

  constructor(pairs: VethPairs, workloads: Pick<WorkloadSource, "refresh">, timer: ReconcileTimer, log: Logger) {
    this.#pairs = pairs;
    this.#log = log;
    // The kernel has seen a pair: rtnetlink, which may lose messages, is asked what it is.
    this.#poll = setInterval(() => {
      if (pairs.changed()) timer.attempt("look at the workloads", () => workloads.refresh());
    }, PAIRS_MS);
  }

  /** Warns of what the two sources differ in. False if they do not say the same yet. */
  compare(workloads: readonly Workload[]): boolean {
    const { disagreements, settled } = this.#pairs.compare(workloads);
    for (const text of disagreements) {
      this.#log.warn(
        { count: this.#pairs.disagreements },
        `${text}. What rtnetlink says is guarded; please report this with the output of \`portcullis doctor\``,
      );
    }
    return settled;
  }

  close(): void {
    clearInterval(this.#poll);
  }
}
