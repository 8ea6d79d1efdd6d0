/**
 * Leader election by a Lease, as in Kubernetes' own components: who has written the Lease last leads, for as long as the
 * others see it written again in time. Times are compared on one's own clock only.
 */

import { causeText } from "../api/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import { sleep } from "../timing/sleep.ts";
import { steadyNow } from "../timing/steady-time.ts";
import type { KubeConnection } from "./connection.ts";
import { isConflict, isNotFound } from "./errors.ts";
import { apiVersionOf, collectionPath, type KubeObject, LEASES, objectPath } from "./resources.ts";

export interface LeaderOptions {
  namespace: string;
  name: string;
  /** Ours; different for every replica and start. */
  identity: string;
  /** Where the leader can be reached; published in an annotation. */
  address: string;
  /** Milliseconds after which others may take over. */
  leaseDuration: number;
  /** Milliseconds without success after which one gives up leading by oneself. Less than `leaseDuration`. */
  renewDeadline: number;
  /** Milliseconds between tries. */
  retryPeriod: number;
  onStarted: () => void;
  /** Leading has ended, be it by `stop` or because the Lease could not be kept. */
  onStopped: () => void;
  log: Logger;
}

export const ADDRESS_ANNOTATION = "security.datadoghq.com/leader-address";

export interface LeaseSpec {
  holderIdentity?: string;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

export interface Lease extends KubeObject {
  spec?: LeaseSpec;
}

export class LeaderElection {
  readonly #connection: KubeConnection;
  readonly #options: LeaderOptions;
  readonly #ending = new AbortController();
  #running: Promise<void> | null = null;
  #leading = false;
  #renewed = { steady: 0, set: 0 };
  /** The Lease as last seen, and when that was new to us. */
  #seen: { text: string; at: number } | null = null;
  #leader: { identity: string; address: string } | null = null;

  constructor(connection: KubeConnection, options: LeaderOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  /** Who leads, as far as is known; null before the first look. */
  get leader(): { identity: string; address: string } | null {
    return this.#leader;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends leading, and gives the Lease back so that another can take over at once. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
    const held = this.#leading;
    this.#end();
    if (held) await this.#release();
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    const { retryPeriod, renewDeadline, log } = this.#options;
    while (!signal.aborted) {
      // This process was stopped, or its machine slept: what it knew may be anybody's by now, even if the Lease is still its own.
      this.#endIfLate(renewDeadline);
      try {
        if (await this.#tryAcquire()) this.#begin();
        else this.#end();
      } catch (cause) {
        log.warn({}, `cannot look after the leader's Lease; trying again: ${causeText(cause)}`);
      }
      this.#endIfLate(renewDeadline);
      await sleep(retryPeriod * (1 + Math.random() / 10), signal);
    }
  }

  #endIfLate(renewDeadline: number): void {
    // Only the clock that can be set goes on while the machine sleeps.
    const late = Math.max(steadyNow() - this.#renewed.steady, Date.now() - this.#renewed.set);
    if (!this.#leading || late <= renewDeadline) return;
    this.#options.log.error({}, `the Lease could not be renewed for ${renewDeadline} ms: no longer leading`);
    this.#end();
  }

  #begin(): void {
    this.#renewed = { steady: steadyNow(), set: Date.now() };
    if (this.#leading) return;
    this.#leading = true;
    this.#options.log.info({ identity: this.#options.identity }, "leading");
    this.#options.onStarted();
  }

  #end(): void {
    if (!this.#leading) return;
    this.#leading = false;
    this.#options.onStopped();
  }

  /** Whether the Lease is ours now. */
  async #tryAcquire(): Promise<boolean> {
    const lease = await this.#read();
    const now = new Date().toISOString().replace(/Z$/, "000Z");
    if (lease === null) return this.#write("POST", null, { acquireTime: now, renewTime: now, leaseTransitions: 0 });
    this.#observe(lease);
    const { holderIdentity = "", acquireTime = now, leaseTransitions = 0 } = lease.spec ?? {};
    if (holderIdentity === this.#options.identity) {
      return this.#write("PUT", lease, { acquireTime, renewTime: now, leaseTransitions });
    }
    if (holderIdentity !== "" && !this.#isExpired(lease)) return false;
    return this.#write("PUT", lease, { acquireTime: now, renewTime: now, leaseTransitions: leaseTransitions + 1 });
  }

  #observe(lease: Lease): void {
    const identity = lease.spec?.holderIdentity ?? "";
    const address = lease.metadata.annotations?.[ADDRESS_ANNOTATION] ?? "";
    this.#leader = identity === "" ? null : { identity, address };
    const text = JSON.stringify(lease.spec);
    if (this.#seen?.text !== text) this.#seen = { text, at: steadyNow() };
  }

  #isExpired({ spec }: Lease): boolean {
    const duration = (spec?.leaseDurationSeconds ?? 0) * 1000 || this.#options.leaseDuration;
    return this.#seen !== null && steadyNow() - this.#seen.at > duration;
  }

  async #read(): Promise<Lease | null> {
    const { namespace, name, renewDeadline } = this.#options;
    try {
      const path = objectPath(LEASES, namespace, name);
      return (await this.#connection.request("GET", path, { timeout: renewDeadline / 2 })) as Lease;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  /** Whether it was written: somebody else may have been faster. */
  async #write(method: "POST" | "PUT", before: Lease | null, spec: LeaseSpec): Promise<boolean> {
    const { namespace, name, identity, address, leaseDuration, renewDeadline } = this.#options;
    const body: Lease = {
      apiVersion: apiVersionOf(LEASES),
      kind: LEASES.kind,
      metadata: {
        ...before?.metadata,
        name,
        namespace,
        annotations: { ...before?.metadata.annotations, [ADDRESS_ANNOTATION]: address },
      },
      spec: { ...spec, holderIdentity: identity, leaseDurationSeconds: Math.ceil(leaseDuration / 1000) },
    };
    const path = method === "POST" ? collectionPath(LEASES, namespace) : objectPath(LEASES, namespace, name);
    try {
      this.#observe((await this.#connection.request(method, path, { body, timeout: renewDeadline / 2 })) as Lease);
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
  }

  async #release(): Promise<void> {
    const { namespace, name, identity, log } = this.#options;
    try {
      const lease = await this.#read();
      if (lease?.spec?.holderIdentity !== identity) return;
      const body = { ...lease, spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 } };
      await this.#connection.request("PUT", objectPath(LEASES, namespace, name), { body, timeout: 2_000 });
    } catch (cause) {
      log.warn({}, `cannot give the Lease back; another may lead once it has expired: ${causeText(cause)}`);
    }
  }
}
