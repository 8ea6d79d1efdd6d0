/** One round of fuzzing: random cases until time is up or the two differ. */
import type { ClassifierRig } from "../rig/classifier-rig.ts";
import type { FuzzCase } from "./case.ts";
import { compareCase, type Difference, type Evaluate } from "./compare.ts";
import { randomCase } from "./random-case.ts";
import { reduceCase } from "./reduce.ts";

export interface SessionOptions {
  seed: number;
  milliseconds: number;
  /** Another evaluator than the reference. */
  evaluate?: Evaluate;
  /** Make what was found smaller; true unless given. */
  reduce?: boolean;
  onCase?: (progress: Progress) => void;
}

export interface Progress {
  cases: number;
  packets: number;
  elapsedMs: number;
}

export interface FoundDifference {
  seed: number;
  reduced: FuzzCase;
  /** Of the reduced case. */
  difference: Difference;
}

export interface SessionResult extends Progress {
  found: FoundDifference | null;
  /** Cases whose profiles were not valid. */
  refused: number;
  /** How often each reason was the verdict. */
  reasons: Map<string, number>;
}

export function fuzz(rig: ClassifierRig, options: SessionOptions): SessionResult {
  const start = Date.now();
  const result: SessionResult = { found: null, cases: 0, packets: 0, refused: 0, elapsedMs: 0, reasons: new Map() };
  for (let seed = options.seed; result.elapsedMs < options.milliseconds; seed += 1) {
    const found = randomCase(seed);
    const comparison = compareCase(rig, found, options.evaluate);
    result.elapsedMs = Date.now() - start;
    if (comparison === null) {
      result.refused += 1;
      continue;
    }
    result.cases += 1;
    result.packets += comparison.packets;
    for (const [reason, count] of comparison.reasons) {
      result.reasons.set(reason, (result.reasons.get(reason) ?? 0) + count);
    }
    options.onCase?.(result);
    if (comparison.difference === null) continue;
    if (options.reduce === false)
      return { ...result, found: { seed, reduced: found, difference: comparison.difference } };
    const reduced = reduceCase(found, (candidate) => differs(rig, candidate, options.evaluate));
    const difference = compareCase(rig, reduced, options.evaluate)?.difference ?? comparison.difference;
    return { ...result, found: { seed, reduced, difference } };
  }
  return result;
}

function differs(rig: ClassifierRig, candidate: FuzzCase, judge: Evaluate | undefined): boolean {
  return (compareCase(rig, candidate, judge)?.difference ?? null) !== null;
}
