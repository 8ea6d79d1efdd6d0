/** For how long nobody has renewed a Lease. Times are measured on one's own clock only: clocks of two machines differ. */
import type { KubeConnection } from "./connection.ts";
import type { Lease } from "./leader.ts";
import { LEASES, objectPath } from "./resources.ts";

export interface LeaseState {
  /** RFC 3339, by the clock of whoever held it last; null: nobody ever has. */
  renewTime: string | null;
  /** Milliseconds for which it has been seen unchanged. */
  silence: number;
}

const TIMEOUT_MS = 5_000;

export class LeaseWatch {
  readonly #connection: KubeConnection;
  readonly #path: string;
  #seen: { text: string; since: number } | null = null;

  constructor(connection: KubeConnection, { namespace, name }: { namespace: string; name: string }) {
    this.#connection = connection;
    this.#path = objectPath(LEASES, namespace, name);
  }

  /**
   * Looks at the Lease. After a look that failed the silence counts from anew: while the API server was away, nobody could renew it.
   * @throws ApiError, UnreachableError
   */
  async look(): Promise<LeaseState> {
    const asked = performance.now();
    let lease: Lease;
    try {
      lease = (await this.#connection.request("GET", this.#path, { timeout: TIMEOUT_MS })) as Lease;
    } catch (cause) {
      this.#seen = null;
      throw cause;
    }
    const text = JSON.stringify(lease.spec ?? {});
    if (this.#seen?.text !== text) this.#seen = { text, since: asked };
    return { renewTime: lease.spec?.renewTime ?? null, silence: asked - this.#seen.since };
  }
}
