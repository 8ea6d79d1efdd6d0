/** Errors of the benchmarks. */
import { PortcullisError } from "../src/api/errors.ts";

/** A benchmark could not be run, or measured something else than it was meant to. */
export class BenchError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_BENCH", message, options);
  }
}
