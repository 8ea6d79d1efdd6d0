/** Whether this replica leads, since when it serves, and who leads otherwise. */

import type { KubeConnection } from "../kube/connection.ts";
import { LeaderElection } from "../kube/leader.ts";
import type { Logger } from "../telemetry/logger.ts";
import { steadyNow } from "../timing/steady-time.ts";

export interface ElectionOptions {
  namespace: string;
  leaseName: string;
  /** Milliseconds. */
  leaseDuration: number;
  renewDeadline: number;
  retryPeriod: number;
}

export interface LeadershipOptions {
  connection: KubeConnection;
  /** Ours; different for every replica and start. */
  identity: string;
  /** Where agents find this replica. */
  advertiseAddress: string;
  /** Null: this is the only replica. */
  election: ElectionOptions | null;
  log: Logger;
}

export class Leadership {
  readonly #identity: string;
  readonly #election: LeaderElection | null;
  readonly #listeners = new Set<(isLeader: boolean) => void>();
  #isReady = false;
  #servingSince: number | null = null;

  constructor(options: LeadershipOptions) {
    this.#identity = options.identity;
    this.#election = options.election === null ? null : this.#makeElection(options, options.election);
  }

  get isLeader(): boolean {
    return this.#servingSince !== null;
  }

  /** Since when this replica leads and serves agents, in milliseconds of steady time; null: it does not. */
  get servingSince(): number | null {
    return this.#servingSince;
  }

  /** Calls the listener when this replica begins or ceases to lead. */
  subscribe(listener: (isLeader: boolean) => void): void {
    this.#listeners.add(listener);
  }

  /** All is planned: this replica can lead from now on. */
  stand(): void {
    this.#isReady = true;
    if (this.#election === null) this.#lead(true);
    else this.#election.start();
  }

  /** Gives the Lease back, so that another can take over at once. */
  async stop(): Promise<void> {
    await this.#election?.stop();
    this.#servingSince = null;
  }

  /** Null while this replica serves; else why not, and where the leader is, if that is known. */
  notServing(): { message: string; leader: string } | null {
    if (this.isLeader) return null;
    if (!this.#isReady) return { message: "the operator is starting; connect again", leader: "" };
    const leader = this.#election?.leader ?? null;
    if (leader === null || leader.identity === this.#identity)
      return { message: "no operator leads at the moment", leader: "" };
    return { message: `this operator does not lead; ${leader.identity} does`, leader: leader.address };
  }

  #lead(isLeader: boolean): void {
    this.#servingSince = isLeader ? steadyNow() : null;
    for (const listener of this.#listeners) listener(isLeader);
  }

  #makeElection(
    { connection, identity, advertiseAddress, log }: LeadershipOptions,
    { namespace, leaseName, ...times }: ElectionOptions,
  ): LeaderElection {
    return new LeaderElection(connection, {
      namespace,
      name: leaseName,
      identity,
      address: advertiseAddress,
      ...times,
      log,
      onStarted: () => this.#lead(true),
      onStopped: () => this.#lead(false),
    });
  }
}
