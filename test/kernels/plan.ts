/** Which tests run in the guests. */
import { globSync } from "node:fs";

/** BPF programs, what talks to the kernel, and everything end to end; not what is the same on any kernel. */
const PATTERNS = ["bpf/test/*.test.ts", "src/node-agent/kernel/*.test.ts", "test/e2e/*.test.ts"];

/** Tests of what the compiler makes, which is the same everywhere. */
const WITHOUT = ["src/node-agent/kernel/abi.test.ts", "bpf/test/stack.test.ts"];

/** Names of test files, relative to the project's root. */
export function plannedTests(root: string): string[] {
  return PATTERNS.flatMap((pattern) => globSync(pattern, { cwd: root }).sort()).filter(
    (name) => !WITHOUT.includes(name),
  );
}
