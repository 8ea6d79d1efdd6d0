/** What every benchmark gets. */
import type { Result } from "./report/table.ts";

export interface BenchContext {
  /** For which each measurement goes on. */
  seconds: number;
  /** Tells the user what is going on, or why something is left out. */
  say(text: string): void;
}

export interface Benchmark {
  name: string;
  summary: string;
  run(context: BenchContext): Promise<Result[]>;
}
