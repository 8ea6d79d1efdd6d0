/** Interleaved rounds: every variant is measured within each, so that all of them see the same machine. */
import type { SocketHooks } from "./hooks.ts";
import type { Series } from "./statistics.ts";

export interface Variant {
  name: string;
  /** Whether the programs that see every socket of the machine are attached meanwhile. */
  hooks: boolean;
  /** One short measurement, some milliseconds; resolves to its samples. */
  measure(): Promise<number[]>;
}

export interface RoundOptions {
  seconds: number;
  /** Null where no variant has hooks. */
  hooks: SocketHooks | null;
}

const LEAST_ROUNDS = 5;

/** Measures until the time is over. Each round goes through the variants in another order. */
export async function interleave(variants: readonly Variant[], { seconds, hooks }: RoundOptions): Promise<Series[]> {
  const series = variants.map(({ name }) => ({ name, rounds: [] as number[][] }));
  // Sockets are made in the first, unmeasured round: with hooks, so that they have owners.
  hooks?.set(true);
  for (const variant of variants) await variant.measure();
  const end = Date.now() + seconds * 1000;
  for (let round = 0; round < LEAST_ROUNDS || Date.now() < end; round += 1) {
    for (const on of round % 2 === 0 ? [false, true] : [true, false]) {
      const phase = variants.filter((variant) => variant.hooks === on);
      if (phase.length === 0) continue;
      hooks?.set(on);
      for (let n = 0; n < phase.length; n += 1) {
        const variant = phase[(n + round) % phase.length] as Variant;
        series[variants.indexOf(variant)]?.rounds.push(await variant.measure());
      }
    }
  }
  return series;
}
