/** Which tests run in the guests. */
import { globSync } from "node:fs";
import { UsageError } from "../../src/api/errors.ts";

/** BPF programs, what talks to the kernel, everything end to end, and containers; not what is the same on any kernel. */
const ALL = ["bpf/test/*.test.ts", "src/node-agent/kernel/*.test.ts", "test/{e2e,containers}/*.test.ts"];
/** At least one case for every clause of what a profile means; without what starts the command again and again. */
const CORE_END_TO_END = "{attacks,attribution,executables,ingress,layers,lifecycle,modes,names,older,selection}";
const CORE = [
  "bpf/test/*.test.ts",
  "src/node-agent/kernel/*.test.ts",
  `test/e2e/${CORE_END_TO_END}.test.ts`,
  "test/containers/*.test.ts",
];

/** Tests of what the compiler makes, which is the same everywhere. */
const WITHOUT = ["src/node-agent/kernel/abi.test.ts", "bpf/test/stack.test.ts"];

/**
 * Names of test files, relative to the project's root.
 * @throws UsageError
 */
export function plannedTests(root: string, suite: string): string[] {
  if (suite !== "all" && suite !== "core") throw new UsageError(`SUITE=${suite} is not known: use all or core`);
  const patterns = suite === "all" ? ALL : CORE;
  return patterns
    .flatMap((pattern) => globSync(pattern, { cwd: root }).sort())
    .filter((name) => !WITHOUT.includes(name));
}
