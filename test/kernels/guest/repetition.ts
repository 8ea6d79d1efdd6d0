/** What becomes of a file whose tests failed when it is run a second time. */
import type { TestResult } from "../results.ts";

/**
 * The failures of both runs of a file. A test that failed in one run only is unsteady: on an emulated kernel that is
 * mostly a limit of time, but it is shown, and only a few are allowed (report.ts).
 * @param second null if the file was not run again
 */
export function failedOf(first: readonly TestResult[], second: readonly TestResult[] | null): TestResult[] {
  const inFirst = first.filter(({ outcome }) => outcome === "failed");
  if (second === null || second.length === 0) return inFirst;
  const inSecond = second.filter(({ outcome }) => outcome === "failed");
  const names = new Set([...inFirst, ...inSecond].map(({ name }) => name));
  return [...names].flatMap((name) => {
    const failures = [inFirst, inSecond].flatMap((run) => run.find((result) => result.name === name) ?? []);
    return failures.slice(-1).map((result) => ({ ...result, outcome: failures.length === 2 ? "failed" : "unsteady" }));
  });
}
