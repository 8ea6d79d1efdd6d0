/** How an agent begins where another version has left its pins. */
import { detachAll } from "../../node-agent/enforce/detach.ts";
import { PinsIncompatibleError } from "../../node-agent/enforce/errors.ts";
import { type AgentLock, acquireLock } from "../../node-agent/enforce/state/lock.ts";
import type { Logger } from "../../telemetry/logger.ts";

import { lockRemade } from "./node-options.ts";

export interface TakeOverOptions {
  pinRoot: string;
  stateDirectory: string;
  /** Pins that this version cannot go on with are taken off, with what they enforce; else they are left, and it is an error. */
  replacePins: boolean;
  log: Logger;
}

/**
 * Starts an agent under the lock.
 * @throws AgentRunningError, PinsIncompatibleError, and whatever `start` throws
 */
export function takeOver<Agent>(
  { pinRoot, stateDirectory, replacePins, log }: TakeOverOptions,
  start: () => Agent,
): { agent: Agent; lock: AgentLock } {
  const lock = acquireLock(stateDirectory, pinRoot, lockRemade(log));
  try {
    return { agent: start(), lock };
  } catch (cause) {
    lock.release();
    if (!(cause instanceof PinsIncompatibleError) || !replacePins) throw cause;
  }
  log.warn(
    { pinRoot },
    "what another version has pinned is taken off (--replace-pins); nothing is enforced for a moment",
  );
  detachAll(pinRoot, stateDirectory);
  const again = acquireLock(stateDirectory, pinRoot, lockRemade(log));
  return { agent: start(), lock: again };
}
