/** Which tests run on every kernel. */
import { globSync } from "node:fs";
import { basename } from "node:path";
import { UsageError } from "../../src/api/errors.ts";

/** A test file, of which all tests are run, or only those whose names begin so. */
export interface PlannedFile {
  file: string;
  only?: readonly string[];
}

/** What a guest is given. */
export interface SuitePlan {
  files: readonly PlannedFile[];
  /** Whether a file of which a test fails is run once more (guest/repetition.ts). */
  repeatFailed: boolean;
}

/** BPF programs, what talks to the kernel, everything end to end, reports from the field, and containers; not what is the same on any kernel. */
const ALL = ["bpf/test/*.test.ts", "src/node-agent/kernel/*.test.ts", "test/{e2e,field,containers}/*.test.ts"];
/**
 * Everything that differs by kernel: hooks, loading, attaching, who makes a packet and who gets it, what a process runs,
 * containers. The programs' own tests give the same on every kernel that loads them, so there are a few of them. How
 * much of the programs the verifier walks is looked at in any suite (guest/suite.ts).
 */
const HOOKS = [
  "bpf/test/{dns-answer,flows,registrations,veth-pairs}.test.ts",
  "src/node-agent/kernel/{classifiers,clock,links,maps,objects,probes,ring-buffer}.test.ts",
  "test/e2e/{receivers,replaced-sockets,socket-hand-over}.test.ts",
  "test/e2e/{executables,scripts}.test.ts",
  "test/e2e/{attribution,gate}.test.ts",
  "test/containers/*.test.ts",
];
/**
 * Beside these, at least one case for every clause of what a profile means (clauses.ts). Attacks that take minutes in a
 * guest (forged packets, errors, fragments, changed executables) are left to the whole suite.
 */
const CORE = [...HOOKS, "test/e2e/{attacks,ingress,layers,lifecycle,modes,names,older,selection}.test.ts"];
const SUITES: Readonly<Record<string, readonly string[]>> = { all: ALL, core: CORE, hooks: HOOKS };

/** In the smaller suites, tests that start the command again and again are left to the whole one. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  "lifecycle.test.ts": [
    "§9 a new workload is blocked",
    "§9 after startupTimeout",
    "§9 startupFailurePolicy Block",
    "§9 profiles that can be read again",
    "§9 a revision that",
    "§9 kill -9",
    "§9 names go on",
    "§9 profiles that cannot be read at a restart",
    "§9 a veth that is replaced",
    "§9 events that could not be carried",
    "§9 detach",
  ],
  "gate.test.ts": ["§9 a cgroup that is not there", "§9 starts of a namespace"],
};

/** Tests of what the compiler makes, which is the same everywhere, and of software that guests do not have. */
const WITHOUT = ["src/gen/abi.test.ts", "bpf/test/stack.test.ts", "test/e2e/learned-software.test.ts"];

/**
 * The test files of a suite, relative to the project's root.
 * @throws UsageError
 */
export function plannedTests(root: string, suite: string): PlannedFile[] {
  const patterns = SUITES[suite];
  if (patterns === undefined) {
    throw new UsageError(`SUITE=${suite} is not known: use ${Object.keys(SUITES).join(", ")}`);
  }
  const files = patterns.flatMap((pattern) => globSync(pattern, { cwd: root }).sort());
  return files
    .filter((file) => !WITHOUT.includes(file))
    .map((file) => {
      const only = suite === "all" ? undefined : ONLY[basename(file)];
      return only === undefined ? { file } : { file, only };
    });
}
