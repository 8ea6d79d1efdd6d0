/**
 * What a guest does: probes the kernel, tries the programs, runs the tests of the plan, and tells the host. With
 * `hybrid` as argument, once cgroups are laid out anew: runs those of the tests that this matters to.
 */
import { openSync, readFileSync, writeSync } from "node:fs";
import { relative } from "node:path";
import { run } from "node:test";
import { causeText } from "../../../src/api/errors.ts";
import { probeFeatures } from "../../../src/node-agent/kernel/probes.ts";
import type { GuestResult } from "../results.ts";
import { tryPrograms } from "./programs.ts";
import { testResults } from "./test-results.ts";

const RESULTS = openSync("/dev/ttyS1", "w");
/** Guests are some ten times slower than the machine that they run on. */
const TEST_TIMEOUT = 300_000;
const HYBRID = process.argv[2] === "hybrid";

function tell(result: GuestResult): void {
  const bytes = Buffer.from(`${JSON.stringify(result)}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(RESULTS, bytes, done);
}

/** Goes on after a part that failed: the others' results are wanted too. */
async function part(name: string, work: () => Promise<void> | void): Promise<void> {
  const start = performance.now();
  try {
    await work();
  } catch (error) {
    tell({ kind: "trouble", message: `${name}: ${causeText(error)}` });
    process.exitCode = 1;
  }
  console.log(`guest: ${name} took ${Math.round(performance.now() - start)} ms`);
}

if (!HYBRID) {
  await part("probes", () => {
    for (const { feature, available, detail } of probeFeatures()) tell({ kind: "feature", feature, available, detail });
  });

  await part("programs", () => {
    for (const result of tryPrograms()) tell(result);
  });
}

await part("tests", async () => {
  const plan = JSON.parse(readFileSync("/guest/plan.json", "utf8")) as { testFiles: string[] };
  const testFiles = plan.testFiles.filter((name) => !HYBRID || name.startsWith("test/containers/"));
  if (testFiles.length === 0) return;
  const files = testFiles.map((name) => `${process.cwd()}/${name}`);
  for await (const result of testResults(run({ files, concurrency: 1, timeout: TEST_TIMEOUT }))) {
    if (result.outcome === "failed") process.exitCode = 1;
    console.log(
      `guest: ${result.outcome}: ${result.file}: ${result.name}${result.message ? `: ${result.message}` : ""}`,
    );
    const file = relative(process.cwd(), result.file);
    tell({ ...result, file: HYBRID ? `${file} (cgroup v1 beside v2)` : file });
  }
});
