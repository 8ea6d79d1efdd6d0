/** The events of Node's test runner, as results. */
import { causeText } from "../../../src/api/errors.ts";
import type { TestResult } from "../results.ts";

const MESSAGE_MAX = 2000;

/** What the runner says when a test begins to report, and when it has passed or failed. */
interface ReportedTest {
  name: string;
  nesting: number;
  file?: string | undefined;
  skip?: string | boolean;
  todo?: string | boolean;
  details?: { duration_ms?: number; type?: string | undefined; error?: unknown };
}

/** What a test's failure says: the runner wraps what was thrown. */
function failureText(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return causeText(cause).slice(0, MESSAGE_MAX);
}

function outcomeOf(passed: boolean, { skip, todo }: ReportedTest): TestResult["outcome"] {
  if (skip !== undefined && skip !== false) return "skipped";
  return passed || (todo !== undefined && todo !== false) ? "passed" : "failed";
}

function resultOf(passed: boolean, names: readonly string[], test: ReportedTest): TestResult {
  const outcome = outcomeOf(passed, test);
  const result: TestResult = {
    kind: "test",
    file: test.file ?? "",
    name: names.join(" > "),
    outcome,
    milliseconds: Math.round(test.details?.duration_ms ?? 0),
  };
  if (outcome === "failed") result.message = failureText(test.details?.error);
  if (typeof test.skip === "string") result.message = test.skip;
  return result;
}

/** The end of what each test file wrote: all there is to say why a file failed as a whole. */
class Output {
  readonly #texts = new Map<string, string>();

  add({ file, message }: { file?: string; message: string }): void {
    if (file === undefined) return;
    this.#texts.set(file, `${this.#texts.get(file) ?? ""}${message}`.slice(-MESSAGE_MAX));
  }

  of(file: string): string {
    return this.#texts.get(file) ?? "";
  }
}

/** One result per test; suites only where they fail themselves (in a hook, say), which fails none of their tests. */
export async function* testResults(events: AsyncIterable<{ type: string; data: unknown }>): AsyncGenerator<TestResult> {
  let names: string[] = [];
  const failed = new Set<string>();
  const output = new Output();
  for await (const { type, data } of events) {
    if (type === "test:stderr" || type === "test:stdout") output.add(data as { file?: string; message: string });
    const test = data as ReportedTest;
    if (type === "test:start") names = [...names.slice(0, test.nesting), test.name];
    if (type !== "test:pass" && type !== "test:fail") continue;
    names = [...names.slice(0, test.nesting), test.name];
    const result = resultOf(type === "test:pass", names, test);
    const explained = [...failed].some((name) => name.startsWith(`${result.name} > `));
    if (test.details?.type === "suite" && (result.outcome !== "failed" || explained)) continue;
    if (result.outcome === "failed") failed.add(result.name);
    const written = output.of(result.file);
    if (result.outcome === "failed" && result.name === result.file && written !== "") result.message = written;
    yield result;
  }
}
