/** Fuzzes all that the network reaches, for a while. */
import { setTimeout as wait } from "node:timers/promises";
import { Random } from "../../src/policy/testing/random.ts";
import { Targets } from "./targets.ts";

export interface Outcome {
  inputs: number;
  /** What went wrong, with the seed of an input about that time; null: nothing did. */
  found: { seed: number; target: string; problem: string } | null;
}

const NAMES = ["agentStream", "operatorMessage", "observeRequest", "httpHead", "tlsHello"] as const;
/** Between two looks at whether all still stands. */
const LOOK_EVERY = 250;
/** Inputs under way at a time: most of the time is waiting for what comes of them. */
const AT_A_TIME = 8;

export async function fuzzProtocols(seed: number, milliseconds: number): Promise<Outcome> {
  const targets = await Targets.start();
  const uncaught: string[] = [];
  const onUncaught = (cause: unknown) =>
    uncaught.push(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
  process.on("uncaughtException", onUncaught);
  const end = Date.now() + milliseconds;
  const outcome: Outcome = { inputs: 0, found: null };
  const go = async () => {
    while (Date.now() < end && outcome.found === null) {
      const own = seed + outcome.inputs;
      outcome.inputs += 1;
      const random = new Random(own);
      const target = random.pick(NAMES);
      const problem = await problemOf(() => targets[target](random));
      const trouble = own % LOOK_EVERY === 0 ? await problemOf(() => targets.trouble()) : null;
      const found = uncaught[0] ?? problem ?? trouble;
      if (found !== null) outcome.found ??= { seed: own, target, problem: found };
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_A_TIME }, go));
    return outcome;
  } finally {
    process.off("uncaughtException", onUncaught);
    await targets.close();
  }
}

/** Nothing takes so long, on the busiest machine. */
const STUCK_MS = 20_000;

async function problemOf(work: () => Promise<unknown>): Promise<string | null> {
  try {
    const problem = await Promise.race([work(), wait(STUCK_MS, "no end within 20 s", { ref: false })]);
    return typeof problem === "string" ? problem : null;
  } catch (cause) {
    return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  }
}
