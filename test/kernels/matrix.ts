/**
 * `make test-kernels`: the suite on every kernel of the matrix, each in a guest of its own, and tables of what came
 * out. Environment: KERNEL (lines, default all), SUITE (all or core, see plan.ts) or TESTS (test files),
 * GUEST_MINUTES (limit), JOBS (guests at a time, default 1), KERNELS_OUTPUT (folder for images, consoles and results;
 * two runs at once need one each).
 */
import { globSync, mkdirSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { causeText } from "../../src/api/errors.ts";
import { buildTool, TEST_TOOLS } from "../tools/build.ts";
import { run } from "./commands.ts";
import { runGuest } from "./guest.ts";
import { buildInitrd } from "./initrd.ts";
import { provideKernel } from "./kernel-cache.ts";
import { type KernelLine, selectLines } from "./kernel-lines.ts";
import { plannedTests } from "./plan.ts";
import { failures, featureTable, isGreen, type KernelRun, programTable, testTable } from "./report.ts";
import { buildRootImage } from "./root-image.ts";

const ROOT = join(import.meta.dirname, "../..");
const CACHE = join(ROOT, ".cache/kernels");
const OUTPUT = resolve(ROOT, process.env.KERNELS_OUTPUT ?? "build/kernels");
const MINUTE = 60_000;
const DEFAULT_MINUTES = 60;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Everything that is compiled is compiled here: guests have no compiler. */
function buildAll(): void {
  const sources = globSync("bpf/{,test/}*.bpf.c", { cwd: ROOT });
  run("make", ["-s", ...sources.map((source) => `build/bpf/${basename(source, ".c")}.o`)], { cwd: ROOT });
  TEST_TOOLS.forEach(buildTool);
}

async function runLine(line: KernelLine, disk: string, timeout: number): Promise<KernelRun> {
  const kernel = provideKernel(line, CACHE);
  const initrd = join(OUTPUT, `${line.line}.initrd`);
  buildInitrd(kernel, initrd);
  say(`kernels: ${kernel.release}: started`);
  const guest = await runGuest(kernel, { initrd, disk, folder: join(OUTPUT, line.line), timeout });
  const result = { kernel, run: guest };
  say(`kernels: ${kernel.release}: ${isGreen(result) ? "green" : "NOT green"} after ${guest.seconds} s`);
  return result;
}

/** Calls `work` for all items, so many at a time, and returns the results in the items' order. */
async function forEachAtOnce<T, R>(items: readonly T[], jobs: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const waiting = items.entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of waiting) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

async function main(environment: NodeJS.ProcessEnv): Promise<number> {
  const lines = selectLines(environment.KERNEL ?? "");
  const timeout = Number(environment.GUEST_MINUTES ?? DEFAULT_MINUTES) * MINUTE;
  const testFiles =
    environment.TESTS?.split(/\s+/).filter((name) => name !== "") ?? plannedTests(ROOT, environment.SUITE ?? "all");
  mkdirSync(OUTPUT, { recursive: true });
  buildAll();
  const disk = join(OUTPUT, "disk.img");
  buildRootImage({ testFiles, stage: join(OUTPUT, "stage"), output: disk });
  const runs = await forEachAtOnce(lines, Number(environment.JOBS ?? 1), (line) => runLine(line, disk, timeout));
  for (const table of [featureTable(runs), programTable(runs), testTable(runs)]) if (table !== "") say(`\n${table}`);
  for (const text of failures(runs)) say(`kernels: ${text}`);
  say(`kernels: consoles and results are in ${relative(ROOT, OUTPUT)}`);
  return runs.every(isGreen) ? 0 : 1;
}

// So that "exit" is seen, and no guest is left behind.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(130));
try {
  process.exitCode = await main(process.env);
} catch (error) {
  process.stderr.write(`kernels: ${causeText(error)}\n`);
  process.exitCode = 2;
}
