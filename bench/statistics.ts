/** Medians, quantiles, and figures against a baseline of the same rounds. */
import { BenchError } from "./errors.ts";

/** One variant's samples, round by round; round n of every series was measured within the same moment. */
export interface Series {
  name: string;
  rounds: number[][];
}

/** A variant against the baseline. */
export interface Comparison {
  name: string;
  /** Of all samples. */
  p50: number;
  p99: number;
  /** Median over the rounds of (median of the round) / (median of the baseline's round). */
  ratio: number;
  /** Quotient of the two p99. */
  ratioP99: number;
  /** Median over the rounds of the difference. */
  over: number;
  /** Half the width of the range that the true median ratio is in, with 95 % confidence. */
  uncertainty: number;
}

/** The least value that a share of the values does not exceed; nearest rank. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new BenchError("there is nothing to take a quantile of: no round was run");
  return value;
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Every series against the baseline's. @throws BenchError if there is no such series, or it has no rounds */
export function compare(series: readonly Series[], baseline: string): Comparison[] {
  const base = series.find(({ name }) => name === baseline);
  if (base === undefined) throw new BenchError(`there is no series ${baseline} to compare with`);
  const baseMedians = base.rounds.map(median);
  const baseP99 = quantile(base.rounds.flat(), 0.99);
  return series.map(({ name, rounds }) => {
    const samples = rounds.flat();
    const medians = rounds.map(median);
    const ratios = medians.map((value, round) => value / (baseMedians[round] ?? Number.NaN));
    const p99 = quantile(samples, 0.99);
    return {
      name,
      p50: median(samples),
      p99,
      ratio: median(ratios),
      ratioP99: p99 / baseP99,
      over: median(medians.map((value, round) => value - (baseMedians[round] ?? Number.NaN))),
      uncertainty: confidence(ratios),
    };
  });
}

/** Half the width of the distribution-free 95 % confidence interval of the median: ranks n/2 -+ 0.98 sqrt(n). */
function confidence(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const low = Math.max(0, Math.floor(sorted.length / 2 - reach));
  const high = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + reach));
  return ((sorted[high] ?? Number.NaN) - (sorted[low] ?? Number.NaN)) / 2;
}
