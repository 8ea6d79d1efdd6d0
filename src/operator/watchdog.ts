/**
 * Says in profiles' status that no operator looks after it: where none has renewed its Lease for a minute, what the status says of nodes
 * becomes Unknown. The operator's next status replaces that. See docs/adr/0013-statuses-age-by-a-watchdog.md.
 */
import { causeText } from "../api/errors.ts";
import { applyStatus } from "../kube/apply.ts";
import type { KubeConnection } from "../kube/connection.ts";
import { isConflict } from "../kube/errors.ts";
import { type LeaseState, LeaseWatch } from "../kube/lease-watch.ts";
import { listPages } from "../kube/list.ts";
import type { KubeObject } from "../kube/resources.ts";
import type { Logger } from "../telemetry/logger.ts";
import { sleep } from "../timing/sleep.ts";
import { SECURITY_PROFILES } from "./cluster/kinds.ts";
import { type Condition, type ConditionType, OPERATOR_AWAY, type ProfileStatus } from "./profiles/profile-status.ts";
import { wholeSeconds } from "./status/totals.ts";

export const WATCHDOG_FIELD_MANAGER = "portcullis-watchdog";

export interface WatchdogOptions {
  connection: KubeConnection;
  /** Of the operators' Lease. */
  namespace: string;
  leaseName: string;
  /** Milliseconds without a renewal after which no operator is at work. */
  after: number;
  /** Milliseconds between looks at the Lease. */
  period?: number;
  log: Logger;
}

/** What is true of nodes now, or not. Accepted and Hardened are about what the API server has. */
const AGEING: readonly ConditionType[] = ["Programmed", "Enforced"];
const PERIOD_MS = 5_000;
/** A second, so that the API server, which may have troubles of its own, is not flooded. */
const WRITES_PER_SECOND = 20;

/** A profile whose status says what nobody can know. */
interface StaleProfile {
  namespace: string;
  name: string;
  resourceVersion: string;
  conditions: Condition[];
}

export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #lease: LeaseWatch;
  readonly #ending = new AbortController();
  #running: Promise<void> | null = null;
  #isAway = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#lease = new LeaseWatch(options.connection, { namespace: options.namespace, name: options.leaseName });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    const { period = PERIOD_MS, log } = this.#options;
    while (!signal.aborted) {
      try {
        if ((await this.#away()) !== null) await this.#ageAll();
      } catch (cause) {
        log.warn({}, `cannot look after statuses; trying again: ${causeText(cause)}`);
      }
      await sleep(period, signal);
    }
  }

  /** The Lease, if no operator renews it; else null. */
  async #away(): Promise<LeaseState | null> {
    const { after, log } = this.#options;
    const state = await this.#lease.look();
    const isAway = state.silence >= after;
    if (isAway && !this.#isAway)
      log.warn({ renewed: state.renewTime }, "no operator is at work: what statuses say of nodes becomes Unknown");
    if (!isAway && this.#isAway) log.info({}, "an operator is at work again");
    this.#isAway = isAway;
    return isAway ? state : null;
  }

  /** Ends as soon as an operator is at work. */
  async #ageAll(): Promise<void> {
    const { connection, log } = this.#options;
    const { signal } = this.#ending;
    const stale: StaleProfile[] = [];
    const take = (items: KubeObject[]) => stale.push(...items.flatMap((item) => staleOf(item) ?? []));
    await listPages(connection, { kind: SECURITY_PROFILES }, take, { signal });
    for (const profile of stale) {
      const lease = await this.#away();
      if (lease === null || signal.aborted) return;
      try {
        const status = { conditions: agedConditions(profile.conditions, lease, new Date()) };
        await applyStatus(connection, SECURITY_PROFILES, profile, status, WATCHDOG_FIELD_MANAGER);
      } catch (cause) {
        // Written meanwhile: it is looked at anew in the next round.
        if (!isConflict(cause)) throw cause;
      }
      await sleep(1000 / WRITES_PER_SECOND, signal);
    }
    if (stale.length > 0) log.info({ profiles: stale.length }, "statuses say that no operator is at work");
  }
}

/** Null: its status says already that nobody knows. */
function staleOf({ metadata, status }: KubeObject): StaleProfile | null {
  const { conditions = [] } = (status ?? {}) as Partial<ProfileStatus>;
  const isAged = (type: ConditionType) =>
    conditions.some((item) => item.type === type && item.status === "Unknown" && item.reason === OPERATOR_AWAY);
  if (AGEING.every(isAged)) return null;
  const { namespace = "", name, resourceVersion = "" } = metadata;
  return { namespace, name, resourceVersion, conditions };
}

function agedConditions(before: readonly Condition[], { renewTime }: LeaseState, now: Date): Partial<Condition>[] {
  const since =
    renewTime === null ? "no operator has been at work yet" : `no operator has been at work since ${renewTime}`;
  return AGEING.map((type) => {
    const last = before.find((condition) => condition.type === type);
    const word =
      last === undefined || last.reason === OPERATOR_AWAY ? "" : `. Its last word was ${last.status}: ${last.message}`;
    const message = `${since}, so that this is not known. What was in force on nodes stays in force, and changes do not reach them${word}`;
    return { type, status: "Unknown", reason: OPERATOR_AWAY, message, lastTransitionTime: wholeSeconds(now) };
  });
}
