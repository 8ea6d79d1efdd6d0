/** `make bench`: runs the benchmarks and prints what they found, always against a baseline of the same run. */
import { parseArgs } from "node:util";
import { causeText, UsageError } from "../src/api/errors.ts";
import { removeAgentTraces } from "./agent-process.ts";
import type { BenchContext, Benchmark } from "./context.ts";
import { established } from "./established.ts";
import { removeNamespaces } from "./network.ts";
import { removeNoop } from "./noop.ts";
import { type Result, resultText } from "./table.ts";

const BENCHMARKS: readonly Benchmark[] = [established];

const DEFAULT_SECONDS = 10;

function cleanUp(): void {
  removeAgentTraces();
  removeNoop();
  removeNamespaces();
}

async function runAll(benchmarks: readonly Benchmark[], context: BenchContext): Promise<Result[]> {
  const results: Result[] = [];
  for (const benchmark of benchmarks) {
    context.say(`${benchmark.name}: ${benchmark.summary}`);
    try {
      results.push(...(await benchmark.run(context)));
    } finally {
      cleanUp();
    }
  }
  return results;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", multiple: true, default: [] },
      seconds: { type: "string", default: String(DEFAULT_SECONDS) },
      json: { type: "boolean", default: false },
    },
  });
  const results = await runAll(BENCHMARKS, {
    seconds: Number(values.seconds),
    say: (text) => process.stderr.write(`bench: ${text}\n`),
  });
  for (const result of results) process.stdout.write(`${resultText(result)}\n`);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    cleanUp();
    process.exit(130);
  });
}
try {
  cleanUp();
  await main();
} catch (error) {
  process.stderr.write(`bench: ${causeText(error)}\n`);
  cleanUp();
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
