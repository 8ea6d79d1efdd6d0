/** Errors of the benchmarks. */

/** A benchmark could not be run, or measured something else than it was meant to. */
export class BenchError extends Error {
  override readonly name = "BenchError";
}
