/** Waits for the signal that ends a command which runs until it is stopped. */

/** Nothing else may keep a process alive that only waits. */
const HOLD_MS = 1_000_000;

/** Settles at the first signal that asks the process to end. */
export function endSignal(): Promise<NodeJS.Signals> {
  return new Promise((settle) => {
    const hold = setInterval(() => {}, HOLD_MS);
    const end = (signal: NodeJS.Signals) => {
      clearInterval(hold);
      settle(signal);
    };
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, end);
  });
}
