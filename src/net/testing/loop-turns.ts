/**
 * For tests: how long the event loop is kept from other work. Processor time of this thread is measured, not the clock, so that a busy
 * machine says nothing about the code.
 */

const TICK_MS = 5;

/**
 * Runs something and measures the event loop meanwhile.
 * @returns milliseconds of processor time between two ticks of a timer of 5 ms, below which 99 of 100 stay
 */
export async function busyTurns(work: () => Promise<void>): Promise<number> {
  const turns: number[] = [];
  let before = process.threadCpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(before);
    before = process.threadCpuUsage();
    turns.push((user + system) / 1000);
  }, TICK_MS);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  turns.sort((left, right) => left - right);
  return turns[Math.ceil(turns.length * 0.99) - 1] ?? 0;
}
