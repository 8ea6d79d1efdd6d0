/** What holds for a workload whose policy is not known: what is in force stays; one never seen before waits, for a while. */

import type { Logger } from "../../telemetry/logger.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import { type Workload, workloadKey, workloadName } from "../discovery/workload.ts";
import type { DesiredPolicy } from "../enforce/desired.ts";

/** Auto: Block where profiles enforced when the operator was last heard of, Allow elsewhere. Without an operator it is Allow. */
export const STARTUP_FAILURE_POLICIES = ["Auto", "Allow", "Block"] as const;
export type StartupFailurePolicy = (typeof STARTUP_FAILURE_POLICIES)[number];

export interface StartupWaitOptions {
  /** What becomes of a workload never seen before, if its policy is not known in time. */
  startupFailurePolicy: StartupFailurePolicy;
  /** Milliseconds that such a workload is blocked before that. */
  startupTimeout: number;
  log: Logger;
}

export interface StartupWaitParts {
  /** Whether a policy for the workload is in force already. */
  isKnown(workload: Workload): boolean;
  /** Called when the time of a workload is over. */
  onTimeout(): void;
}

export class StartupWait {
  readonly #options: StartupWaitOptions;
  readonly #parts: StartupWaitParts;
  readonly #firstSeen = new Map<string, number>();

  constructor(options: StartupWaitOptions, parts: StartupWaitParts) {
    this.#options = options;
    this.#parts = parts;
  }

  /**
   * The policy for now.
   * @param overrides what comes after the wait, and the failure policy, where they are other than the options say
   */
  policyOf(
    workload: Workload,
    { after, policy }: { after?: () => DesiredPolicy | null; policy?: StartupFailurePolicy } = {},
  ): DesiredPolicy {
    if (this.#parts.isKnown(workload)) return { kind: "unchanged" };
    if (this.#isWaiting(workload)) return { kind: "pending" };
    const last = after?.() ?? null;
    if (last !== null) return last;
    if ((policy ?? this.#options.startupFailurePolicy) === "Block") return { kind: "pending" };
    this.#options.log.warn(
      { workload: workloadName(workload) },
      "its policy could not be known in time: the workload is let through, unjudged",
    );
    return { kind: "unrestricted" };
  }

  /** Forgets since when workloads that are not among these have waited. */
  keep(workloads: readonly Workload[]): void {
    const live = new Set(workloads.map(instanceKey));
    for (const key of this.#firstSeen.keys()) if (!live.has(key)) this.#firstSeen.delete(key);
  }

  #isWaiting(workload: Workload): boolean {
    const { startupTimeout } = this.#options;
    const key = instanceKey(workload);
    const since = this.#firstSeen.get(key);
    if (since === undefined) {
      this.#firstSeen.set(key, steadyNow());
      setTimeout(() => this.#parts.onTimeout(), startupTimeout + 1).unref();
    }
    return (since ?? steadyNow()) + startupTimeout > steadyNow();
  }
}

/** A pod whose network namespace is another one waits anew. */
function instanceKey(workload: Workload): string {
  return `${workloadKey(workload)}@${workload.netnsInum}`;
}
