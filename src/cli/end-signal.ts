/** How a command that runs on is ended. */

/** Settles at the first signal that asks the process to end. */
export function endSignal(): Promise<NodeJS.Signals> {
  return new Promise((settle) => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.once(signal, () => settle(signal));
  });
}
