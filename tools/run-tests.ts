/**
 * `make test`: types, lint and generated files first, then every test in one run of Node's test runner, whose closing
 * lines count all of them. With arguments, only the tests in these files are run.
 *
 *     node tools/run-tests.ts [FILE...]
 */
import { spawnSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { removeLeftovers } from "../test/e2e/harness/leftovers.ts";

const ROOT = join(import.meta.dirname, "..");

/** Units, BPF programs without a network, fuzzing for a while, the kernel matrix's parts, the demo, end to end, what users of other tools reported, and the docs' commands. */
const TESTS = [
  "src",
  "tools",
  "bench",
  "bpf/test",
  "test/fuzz",
  "test/kernels",
  "examples",
  "test/e2e",
  "test/field",
  "test/docs",
].map((folder) => `${folder}/**/*.test.ts`);

/** Ends files that something keeps alive. */
const TEST_EXIT = join(import.meta.dirname, "test-exit.ts");
/** A test that takes longer hangs. The longest, many starts of a workload, takes half a minute. */
const TEST_TIMEOUT_MS = 180_000;
/** More at a time would have them wait for each other's packets on a small machine. */
const CONCURRENCY = Math.min(2, availableParallelism());

/** Runs a step with its output on this terminal. @returns its exit status */
function step(title: string, program: string, args: readonly string[]): number {
  console.log(`\n== ${title}`);
  const started = performance.now();
  const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: "inherit" });
  if (error !== undefined) throw error;
  console.log(
    `== ${title}: ${status === 0 ? "good" : "FAILED"}, ${Math.round((performance.now() - started) / 1000)} s`,
  );
  return status ?? 1;
}

function main(files: readonly string[]): number {
  if (process.getuid?.() !== 0) {
    console.error("The tests make network namespaces and load BPF programs: run them as root.");
    return 1;
  }
  removeLeftovers();
  if (files.length === 0) {
    const status = step("types, lint, generated files", "make", ["--no-print-directory", "-s", "verify"]);
    if (status !== 0) return status;
  }
  const options = [`--test-concurrency=${CONCURRENCY}`, `--test-timeout=${TEST_TIMEOUT_MS}`, "--test-reporter=spec"];
  const patterns = files.length > 0 ? files : TESTS;
  try {
    return step("tests", process.execPath, [
      "--disable-warning=ExperimentalWarning",
      `--import=${TEST_EXIT}`,
      "--test",
      ...options,
      ...patterns,
    ]);
  } finally {
    removeLeftovers();
  }
}

process.exitCode = main(process.argv.slice(2));
