/**
 * What a guest does, and the machine itself for comparison: probes the kernel, tries the programs, runs the tests of
 * the plan, and tells the host. With `hybrid` as argument, once cgroups are laid out anew: runs those of the tests that
 * this matters to. Environment: KERNELS_PLAN (file), KERNELS_RESULTS (file or device).
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { relative } from "node:path";
import { run } from "node:test";
import { causeText } from "../../../src/api/errors.ts";
import { probeFeatures } from "../../../src/node-agent/kernel/features/features.ts";
import { VERIFIED_MAX } from "../../harness/verified-instructions.ts";
import type { PlannedFile, SuitePlan } from "../plan.ts";
import type { GuestResult, TestResult } from "../results.ts";
import { tryHooks, tryPrograms } from "./programs.ts";
import { failedOf } from "./repetition.ts";
import { testResults } from "./test-results.ts";

const PLAN = process.env.KERNELS_PLAN ?? "/guest/plan.json";
const RESULTS = openSync(process.env.KERNELS_RESULTS ?? "/dev/ttyS1", "w");
/** A test that takes longer hangs, even in a guest, which is some ten times slower than the machine that it runs on. */
const TEST_TIMEOUT = 300_000;
const HYBRID = process.argv[2] === "hybrid";
const { files, repeatFailed } = JSON.parse(readFileSync(PLAN, "utf8")) as SuitePlan;

function tell(result: GuestResult): void {
  const bytes = Buffer.from(`${JSON.stringify(result)}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(RESULTS, bytes, done);
}

function fail(message: string): void {
  tell({ kind: "trouble", message });
  process.exitCode = 1;
}

/** Goes on after a part that failed: the others' results are wanted too. */
async function part(name: string, work: () => Promise<void> | void): Promise<void> {
  const start = performance.now();
  try {
    await work();
  } catch (error) {
    fail(`${name}: ${causeText(error)}`);
  }
  tell({ kind: "part", name, milliseconds: Math.round(performance.now() - start) });
}

/** For the start of a name, as it is. */
function patternOf(start: string): RegExp {
  return new RegExp(`^${start.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`);
}

function show(result: TestResult): void {
  console.log(`guest: ${result.outcome}: ${result.file}: ${result.name}${result.message ? `: ${result.message}` : ""}`);
  tell(result);
}

/** Runs the file, shows the results of tests that did not fail, and returns all. */
async function runOnce({ file, only }: PlannedFile): Promise<TestResult[]> {
  const label = HYBRID ? `${file} (cgroup v1 beside v2)` : file;
  const selection = only === undefined ? {} : { testNamePatterns: only.map(patternOf) };
  const events = run({ files: [`${process.cwd()}/${file}`], concurrency: 1, timeout: TEST_TIMEOUT, ...selection });
  const results: TestResult[] = [];
  for await (const one of testResults(events)) {
    const result = { ...one, file: label, name: one.name === one.file ? "(the file)" : one.name };
    results.push(result);
    if (result.outcome !== "failed") show(result);
  }
  if (results.length === 0) fail(`${label} has no test that was to be run`);
  return results;
}

async function runFile(planned: PlannedFile): Promise<void> {
  const first = await runOnce(planned);
  const failed = first.some(({ outcome }) => outcome === "failed");
  const second = failed && repeatFailed ? await runOnce(planned) : null;
  for (const result of failedOf(first, second)) {
    show(result);
    if (result.outcome === "failed") process.exitCode = 1;
  }
}

if (!HYBRID) {
  await part("probes", () => {
    for (const { feature, available, detail } of probeFeatures()) tell({ kind: "feature", feature, available, detail });
  });

  await part("programs", () => {
    for (const result of tryPrograms()) {
      tell(result);
      const { object, program, verified } = result;
      if (verified >= VERIFIED_MAX) fail(`${object}: ${program}: ${verified} instructions were verified`);
    }
  });

  await part("hooks", () => {
    for (const result of tryHooks()) tell(result);
  });
}

for (const planned of files) {
  if (HYBRID && !planned.file.startsWith("test/containers/")) continue;
  await part(relative(".", planned.file), () => runFile(planned));
}
