/** What becomes of a file whose tests failed when it is run a second time. */
import type { TestResult } from "../results.ts";

/** How a failure reads of which a slow machine may be the cause: something did not come in time. Whatever came that should not have is none. */
const NOT_IN_TIME = /no event in \d+ ms|waited \d+ ms|not within \d+|timed out/;

/**
 * The failures of both runs of a file. A test that failed in one run only, because something did not come in time, is unsteady: it is
 * shown, and only a few are allowed (report.ts). Every other failure counts, also if it came once.
 * @param second null if the file was not run again
 */
export function failedOf(first: readonly TestResult[], second: readonly TestResult[] | null): TestResult[] {
  const inFirst = first.filter(({ outcome }) => outcome === "failed");
  if (second === null || second.length === 0) return inFirst;
  const inSecond = second.filter(({ outcome }) => outcome === "failed");
  const names = new Set([...inFirst, ...inSecond].map(({ name }) => name));
  return [...names].flatMap((name) => {
    const failures = [inFirst, inSecond].flatMap((run) => run.find((result) => result.name === name) ?? []);
    const isUnsteady = failures.length === 1 && failures.every(({ message }) => NOT_IN_TIME.test(message ?? ""));
    return failures.slice(-1).map((result) => ({ ...result, outcome: isUnsteady ? "unsteady" : "failed" }));
  });
}
