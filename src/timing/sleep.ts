/** Waiting that can be ended. */
import { setTimeout as wait } from "node:timers/promises";

/** Settles after so many milliseconds, or at once when the signal comes; never fails. */
export async function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await wait(milliseconds, undefined, { signal });
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
}
