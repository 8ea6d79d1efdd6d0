/**
 * `make bench`: runs the benchmarks and prints what they found, always against a baseline of the same run. Whatever way
 * it ends, nothing stays behind; what a killed run has left goes at the start of the next one.
 */
import { openSync } from "node:fs";
import { causeText, UsageError } from "../src/api/errors.ts";
import { tryLock } from "../src/node-agent/ffi/file-lock.ts";
import { agent } from "./agent.ts";
import { removeAgentTraces } from "./bed/agent-process.ts";
import { removeNamespaces } from "./bed/network.ts";
import { removeNoop } from "./bed/noop.ts";
import type { BenchContext, Benchmark } from "./context.ts";
import { Disturbances } from "./disturbance.ts";
import { dns } from "./dns.ts";
import { BenchError } from "./errors.ts";
import { established } from "./established.ts";
import { removeFolders } from "./files.ts";
import { firstPacket } from "./first-packet.ts";
import { neighbour } from "./neighbour.ts";
import { parseOptions, usage } from "./options.ts";
import { writeDocument } from "./report/document.ts";
import { type Result, resultText } from "./report/table.ts";
import { ruleCounts } from "./rule-counts.ts";

const BENCHMARKS: readonly Benchmark[] = [dns, established, firstPacket, neighbour, ruleCounts, agent];
const LOCK = "/run/pc-bench.lock";
const INTERRUPTED = 130;

function cleanUp(): void {
  removeAgentTraces();
  removeNoop();
  removeNamespaces();
  removeFolders();
}

async function runAll(
  benchmarks: readonly Benchmark[],
  context: BenchContext,
  json: boolean,
  disturbances: Disturbances,
): Promise<Result[]> {
  const results: Result[] = [];
  for (const benchmark of benchmarks) {
    context.say(`${benchmark.name}: ${benchmark.summary}`);
    try {
      const found = await benchmark.run(context);
      if (!json) for (const result of found) process.stdout.write(`${resultText(result)}\n`);
      results.push(...found);
      disturbances.look();
    } finally {
      cleanUp();
    }
  }
  return results;
}

async function main(): Promise<void> {
  const names = BENCHMARKS.map(({ name }) => name);
  const options = parseOptions(process.argv.slice(2), names);
  if (options.help) {
    process.stdout.write(usage(names));
    return;
  }
  if (process.getuid?.() !== 0) throw new UsageError("the benchmarks make network namespaces and have to run as root");
  // Two at once would measure, and clean up, each other.
  if (!tryLock(openSync(LOCK, "w"), "exclusive", LOCK)) throw new BenchError("another run of the benchmarks is on");
  endInOrder();
  cleanUp();
  const wanted = BENCHMARKS.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
  const say = (text: string) => process.stderr.write(`bench: ${text}\n`);
  const disturbances = new Disturbances();
  const results = await runAll(wanted, { seconds: options.seconds, say }, options.json, disturbances);
  const notes = disturbances.notes();
  for (const note of notes) say(note);
  if (options.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
  if (options.write) writeDocument(results, { seconds: options.seconds, time: new Date(), notes });
}

function endInOrder(): void {
  process.once("exit", cleanUp);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => process.exit(INTERRUPTED));
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${causeText(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
