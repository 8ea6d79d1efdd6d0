/**
 * `make test-kernels`: the suite on every kernel of the matrix, each in a guest of its own, and tables of what came
 * out. Environment: KERNEL (lines, default all; `here` for none but this machine's own), SUITE (all, core or
 * hooks, see plan.ts) or TESTS (test files), GUEST_MINUTES (limit of each), JOBS (guests at a time, default 1), KERNELS_OUTPUT
 * (folder for images, consoles and results; two runs at once need one each), HERE=no (leaves out this machine's own
 * kernel), DOCS=write (puts the tables into docs/kernels.md).
 */
import { globSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { causeText } from "../../src/api/errors.ts";
import { buildTool, TEST_TOOLS } from "../tools/build.ts";
import { buildInitrd } from "./boot/initrd.ts";
import { provideKernel } from "./boot/kernel-cache.ts";
import { type KernelLine, selectLines } from "./boot/kernel-lines.ts";
import { buildRootImage } from "./boot/root-image.ts";
import { run } from "./commands.ts";
import { runGuest } from "./guest.ts";
import { lineHere, runHere } from "./here.ts";
import { type PlannedFile, plannedTests } from "./plan.ts";
import { tellProgress } from "./progress.ts";
import { writeTables } from "./report/docs.ts";
import {
  clauseTable,
  failures,
  featureTable,
  hookTable,
  isGreen,
  type KernelRun,
  programTable,
  skips,
  testTable,
  timeTable,
  unsteadyTests,
} from "./report/report.ts";

const ROOT = join(import.meta.dirname, "../..");
const CACHE = join(ROOT, ".cache/kernels");
const OUTPUT = resolve(ROOT, process.env.KERNELS_OUTPUT ?? "build/kernels");
const MINUTE = 60_000;
const DEFAULT_MINUTES = 120;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Everything that is compiled is compiled here: guests have no compiler. */
function buildAll(): void {
  const sources = globSync("bpf/{,test/}*.bpf.c", { cwd: ROOT });
  run("make", ["-s", ...sources.map((source) => `build/bpf/${basename(source, ".c")}.o`)], { cwd: ROOT });
  TEST_TOOLS.forEach(buildTool);
}

/** What every guest gets. */
interface Work {
  plan: readonly PlannedFile[];
  timeout: number;
  /** Guests at a time. */
  jobs: number;
  /** Whether the plan is a suite that shows every clause. */
  complete: boolean;
}

async function runLine(line: KernelLine, disk: string, { timeout, jobs, complete }: Work): Promise<KernelRun> {
  const kernel = provideKernel(line, CACHE);
  const initrd = join(OUTPUT, `${line.line}.initrd`);
  buildInitrd(kernel, initrd);
  say(`kernels: ${kernel.release}: started`);
  const folder = join(OUTPUT, line.line);
  using _progress = progressIn(folder, line.line);
  // One processor costs less than two to emulate, but two are nearer to what nodes have.
  const run = await runGuest(kernel, { initrd, disk, folder, timeout, processors: jobs > 1 ? 1 : 2 });
  return printed({ line: line.line, run, complete });
}

async function runOwnKernel({ plan, timeout, complete }: Work): Promise<KernelRun> {
  say(`kernels: ${lineHere()}, this machine's own: started`);
  const folder = join(OUTPUT, "here");
  using _progress = progressIn(folder, lineHere());
  return printed({ line: lineHere(), run: await runHere({ plan, folder, timeout }), complete });
}

function progressIn(folder: string, line: string): Disposable {
  return tellProgress(join(folder, "results.jsonl"), (text) => say(`kernels: ${line}: ${text}`));
}

function printed(run: KernelRun): KernelRun {
  say(`kernels: ${run.line}: ${isGreen(run) ? "green" : "NOT green"} after ${run.run.seconds} s`);
  return run;
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

function workOf(environment: NodeJS.ProcessEnv): Work {
  const timeout = Number(environment.GUEST_MINUTES ?? DEFAULT_MINUTES) * MINUTE;
  const jobs = Number(environment.JOBS ?? 1);
  const files = environment.TESTS?.split(/\s+/).filter((name) => name !== "");
  if (files !== undefined) return { plan: files.map((file) => ({ file })), timeout, jobs, complete: false };
  const suite = environment.SUITE ?? "all";
  return { plan: plannedTests(ROOT, suite), timeout, jobs, complete: suite !== "hooks" };
}

/** The tables, on the terminal and in a file. */
function report(runs: readonly KernelRun[]): void {
  const tables = [featureTable, hookTable, programTable, testTable, timeTable, clauseTable].map((table) => table(runs));
  const text = tables.filter((table) => table !== "").join("\n");
  writeFileSync(join(OUTPUT, "tables.txt"), text);
  say(`\n${text}`);
  for (const line of skips(runs)) say(`kernels: skipped: ${line}`);
  for (const line of unsteadyTests(runs)) say(`kernels: unsteady, failed in one of two runs: ${line}`);
  for (const line of failures(runs)) say(`kernels: FAILED: ${line}`);
  const tests = runs.flatMap(({ run }) => run.results.filter(({ kind }) => kind === "test")).length;
  const green = runs.filter(isGreen).length;
  say(`kernels: tables, consoles and results are in ${relative(ROOT, OUTPUT)}`);
  say(`kernels: ${green} of ${runs.length} kernels are green; ${tests} results`);
}

async function main(environment: NodeJS.ProcessEnv): Promise<number> {
  const lines = environment.KERNEL === "here" ? [] : selectLines(environment.KERNEL ?? "");
  const work = workOf(environment);
  mkdirSync(OUTPUT, { recursive: true });
  buildAll();
  const disk = join(OUTPUT, "disk.img");
  if (lines.length > 0) buildRootImage({ plan: work.plan, stage: join(OUTPUT, "stage"), output: disk });
  const here = environment.HERE === "no" ? [] : [await runOwnKernel(work)];
  const guests = await forEachAtOnce(lines, work.jobs, (line) => runLine(line, disk, work));
  const runs = [...guests, ...here];
  report(runs);
  if (environment.DOCS === "write") writeTables(join(ROOT, "docs/kernels.md"), runs);
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
