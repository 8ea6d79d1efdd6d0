/** `make bench`: runs the benchmarks and prints what they found, always against a baseline of the same run. */
import { parseArgs } from "node:util";
import { causeText, UsageError } from "../src/api/errors.ts";
import { agent } from "./agent.ts";
import { removeAgentTraces } from "./agent-process.ts";
import type { BenchContext, Benchmark } from "./context.ts";
import { dns } from "./dns.ts";
import { established } from "./established.ts";
import { firstPacket } from "./first-packet.ts";
import { removeNamespaces } from "./network.ts";
import { removeNoop } from "./noop.ts";
import { ruleCounts } from "./rule-counts.ts";
import { type Result, resultText } from "./table.ts";

const BENCHMARKS: readonly Benchmark[] = [dns, established, firstPacket, ruleCounts, agent];

const DEFAULT_SECONDS = 10;

function cleanUp(): void {
  removeAgentTraces();
  removeNoop();
  removeNamespaces();
}

async function runAll(benchmarks: readonly Benchmark[], context: BenchContext, json: boolean): Promise<Result[]> {
  const results: Result[] = [];
  for (const benchmark of benchmarks) {
    context.say(`${benchmark.name}: ${benchmark.summary}`);
    try {
      const found = await benchmark.run(context);
      if (!json) for (const result of found) process.stdout.write(`${resultText(result)}\n`);
      results.push(...found);
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
  const wanted = BENCHMARKS.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  const say = (text: string) => process.stderr.write(`bench: ${text}\n`);
  const results = await runAll(wanted, { seconds: Number(values.seconds), say }, values.json);
  if (values.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
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
