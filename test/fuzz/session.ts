/** One round of fuzzing: random cases until time is up or the two differ. */
import type { ClassifierHarness } from "../harness/classifier-harness.ts";
import type { LiveHarness } from "../harness/live-harness.ts";
import type { FuzzCase } from "./case.ts";
import { type Comparison, compareCase, type Difference, type Evaluate } from "./compare/compare.ts";
import { randomCase } from "./random/random-case.ts";
import { randomSocketCase } from "./random/random-sockets.ts";
import { reduceCase, reduceSteps, type Shows } from "./reduce.ts";
import type { SocketCase } from "./socket-case.ts";
import { compareSocketCase, type SocketJudge } from "./socket-run.ts";

/** What cases are about, and how they are run. */
export interface World<Case, Judge> {
  make: (seed: number) => Case;
  /** Null: its profiles are refused. */
  compare: (found: Case, judge?: Judge) => Comparison | null;
  reduce: (found: Case, shows: Shows<Case>) => Case;
}

/** Packets, and what is reported their sockets. */
export function packetWorld(harness: ClassifierHarness): World<FuzzCase, Evaluate> {
  return { make: randomCase, compare: (found, judge) => compareCase(harness, found, judge), reduce: reduceCase };
}

/** Real sockets, whose packets are what the kernel makes of them. */
export function socketWorld(live: LiveHarness): World<SocketCase, SocketJudge> {
  return {
    make: randomSocketCase,
    compare: (found, judge) => compareSocketCase(live, found, judge),
    reduce: reduceSteps,
  };
}

export interface SessionOptions<Judge> {
  seed: number;
  milliseconds: number;
  /** No more cases than this, however fast the machine. */
  cases?: number;
  /** Another evaluator than the reference. */
  judge?: Judge;
  /** Make what was found smaller; true unless given. */
  reduce?: boolean;
  onCase?: (progress: Progress) => void;
}

export interface Progress {
  cases: number;
  packets: number;
  elapsedMs: number;
}

export interface FoundDifference<Case> {
  seed: number;
  reduced: Case;
  /** Of the reduced case. */
  difference: Difference;
}

export interface SessionResult<Case> extends Progress {
  found: FoundDifference<Case> | null;
  /** Cases whose profiles were not valid. */
  refused: number;
  /** How often each reason was the verdict. */
  reasons: Map<string, number>;
}

export function fuzz<Case, Judge>(world: World<Case, Judge>, options: SessionOptions<Judge>): SessionResult<Case> {
  const { judge, cases = Number.POSITIVE_INFINITY } = options;
  const start = Date.now();
  const result: SessionResult<Case> = {
    found: null,
    cases: 0,
    packets: 0,
    refused: 0,
    elapsedMs: 0,
    reasons: new Map(),
  };
  for (let seed = options.seed; result.elapsedMs < options.milliseconds && result.cases < cases; seed += 1) {
    const found = world.make(seed);
    const comparison = world.compare(found, judge);
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
    const reduced = world.reduce(found, (candidate) => (world.compare(candidate, judge)?.difference ?? null) !== null);
    const difference = world.compare(reduced, judge)?.difference ?? comparison.difference;
    return { ...result, found: { seed, reduced, difference } };
  }
  return result;
}
