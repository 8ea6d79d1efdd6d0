/** Fuzzes all that the network reaches, for a while. */
import { Random } from "../../src/policy/testing/random.ts";
import { Targets } from "./targets.ts";

export interface Outcome {
  inputs: number;
  /** What went wrong, with the seed that shows it again; null: nothing did. */
  found: { seed: number; target: string; problem: string } | null;
}

const NAMES = ["agentStream", "operatorMessage", "observeRequest", "httpHead", "tlsHello"] as const;
/** Between two looks at whether all still stands. */
const LOOK_EVERY = 50;

export async function fuzzProtocols(seed: number, milliseconds: number): Promise<Outcome> {
  const targets = await Targets.start();
  const uncaught: string[] = [];
  const onUncaught = (cause: unknown) =>
    uncaught.push(cause instanceof Error ? (cause.stack ?? cause.message) : String(cause));
  process.on("uncaughtException", onUncaught);
  const end = Date.now() + milliseconds;
  let inputs = 0;
  try {
    for (; Date.now() < end; inputs += 1) {
      const random = new Random(seed + inputs);
      const target = random.pick(NAMES);
      const problem = await tried(() => targets[target](random));
      const trouble = inputs % LOOK_EVERY === 0 ? await targets.trouble() : null;
      const found = uncaught[0] ?? problem ?? trouble;
      if (found !== null) return { inputs, found: { seed: seed + inputs, target, problem: found } };
    }
    return { inputs, found: null };
  } finally {
    process.off("uncaughtException", onUncaught);
    await targets.close();
  }
}

async function tried(work: () => Promise<void>): Promise<string | null> {
  try {
    await work();
    return null;
  } catch (cause) {
    return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
  }
}
