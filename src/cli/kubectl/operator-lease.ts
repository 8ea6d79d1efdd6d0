/** Whether an operator is running, by the Lease that the one that leads writes anew every two seconds. */

import { setTimeout as sleep } from "node:timers/promises";
import { ADDRESS_ANNOTATION } from "../../kube/leader.ts";
import { isForbidden, type Kubectl, KubectlError, type KubeObject } from "./kubectl.ts";

/** A Lease that is this old is nobody's: others take it over after 15 seconds. */
const STALE_MS = 60_000;
/** A Lease that is kept is written within this time, whatever this machine's clock says. */
const RENEWAL_MS = 5_000;
const LOOK_MS = 1_000;

export interface OperatorState {
  /** The operator that leads, or was the last to; null: none has yet. */
  holder: string | null;
  /** When it said so last, in RFC 3339. */
  renewed: string | null;
  /** Null: an operator is running, and statuses are as of now. */
  problem: string | null;
}

/**
 * The operator's state; null where one may not see it. Times of two machines are compared with care: a Lease that
 * looks old is looked at again, and what is renewed meanwhile is not.
 * @throws KubectlError
 */
export async function operatorState(kubectl: Kubectl, systemNamespace: string): Promise<OperatorState | null> {
  try {
    const lease = operatorLease(kubectl, systemNamespace);
    if (lease?.spec?.renewTime === undefined) {
      const problem = `no operator has been at work in namespace ${systemNamespace}: statuses are of an unknown time`;
      return { holder: null, renewed: null, problem };
    }
    const { holderIdentity, renewTime } = lease.spec;
    const isKept = isRecent(renewTime) || (await isRenewed(kubectl, systemNamespace, renewTime));
    const problem = `no operator is running: statuses are as of ${renewTime}, when its Lease was renewed last`;
    return { holder: holderIdentity || null, renewed: renewTime, problem: isKept ? null : problem };
  } catch (cause) {
    if (!(cause instanceof KubectlError) || !isForbidden(cause)) throw cause;
    return null;
  }
}

/** The Lease that operators have written. */
function operatorLease(kubectl: Kubectl, systemNamespace: string): KubeObject | undefined {
  return kubectl
    .list("leases", `--namespace=${systemNamespace}`)
    .find(({ metadata }) => metadata.annotations?.[ADDRESS_ANNOTATION] !== undefined);
}

function isRecent(renewTime: string): boolean {
  return Math.abs(Date.now() - Date.parse(renewTime)) < STALE_MS;
}

async function isRenewed(kubectl: Kubectl, systemNamespace: string, before: string): Promise<boolean> {
  const end = Date.now() + RENEWAL_MS;
  while (Date.now() < end) {
    await sleep(LOOK_MS);
    if (operatorLease(kubectl, systemNamespace)?.spec?.renewTime !== before) return true;
  }
  return false;
}
