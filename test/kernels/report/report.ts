/** The tables that a run of the matrix prints: tests, programs and features, each by kernel. */
import { CLAUSES, type Clause } from "../clauses.ts";
import type { GuestRun } from "../guest.ts";
import type { FeatureResult, HookResult, PartResult, ProgramResult, TestResult } from "../results.ts";
import { formatTable } from "./table.ts";

/** A kernel and what became of the suite on it. */
export interface KernelRun {
  /** Its column. */
  line: string;
  run: GuestRun;
  /** Whether every clause should have been shown. */
  complete: boolean;
}

const NOTHING = "-";
const WORDS: Record<TestResult["outcome"], string> = {
  passed: "ok",
  failed: "FAILED",
  unsteady: "unsteady",
  skipped: "skipped",
};
/** Of one kernel. More than so many in a run are no accident. */
const UNSTEADY_MAX = 2;

/** Rows in the order in which they are first met, columns by kernel. */
function crossTable<R>(
  runs: readonly KernelRun[],
  {
    title,
    select,
    rowOf,
    cellOf,
  }: {
    title: string;
    select: (run: GuestRun) => R[];
    rowOf: (result: R) => string;
    cellOf: (result: R) => string;
  },
  options?: { numbers?: boolean },
): string {
  const rows = new Map<string, string[]>();
  runs.forEach(({ run }, column) => {
    for (const result of select(run)) {
      const row = rows.get(rowOf(result)) ?? runs.map(() => NOTHING);
      row[column] = cellOf(result);
      rows.set(rowOf(result), row);
    }
  });
  if (rows.size === 0) return "";
  const head = [title, ...runs.map(({ line }) => line)];
  return formatTable([head, ...[...rows].map(([name, cells]) => [name, ...cells])], options);
}

function isKind<K extends string>(kind: K) {
  return <R extends { kind: string }>(result: R): result is Extract<R, { kind: K }> => result.kind === kind;
}

/** Test by kernel. */
export function testTable(runs: readonly KernelRun[]): string {
  return crossTable<TestResult>(runs, {
    title: "test",
    select: ({ results }) => results.filter(isKind("test")),
    rowOf: ({ file, name }) => `${file}: ${name}`,
    cellOf: ({ outcome }) => WORDS[outcome],
  });
}

/** Program by kernel: instructions that the verifier walked through / instructions there are. */
export function programTable(runs: readonly KernelRun[]): string {
  return crossTable<ProgramResult>(
    runs,
    {
      title: "program (verified/instructions)",
      select: ({ results }) => results.filter(isKind("program")),
      rowOf: ({ object, program }) => `${object}: ${program}`,
      cellOf: ({ refused, verified, instructions }) =>
        refused === undefined ? `${verified || NOTHING}/${instructions}` : "refused",
    },
    { numbers: true },
  );
}

/** Feature by kernel. */
export function featureTable(runs: readonly KernelRun[]): string {
  return crossTable<FeatureResult>(runs, {
    title: "feature",
    select: ({ results }) => results.filter(isKind("feature")),
    rowOf: ({ feature }) => feature,
    cellOf: ({ available }) => (available ? "yes" : "no"),
  });
}

/** Way by job and kernel, and what is lost. */
export function hookTable(runs: readonly KernelRun[]): string {
  return crossTable<HookResult>(runs, {
    title: "job",
    select: ({ results }) => results.filter(isKind("hook")),
    rowOf: ({ job }) => job,
    cellOf: ({ way }) => way,
  });
}

/** Everything that went wrong, with its words. */
export function failures(runs: readonly KernelRun[]): string[] {
  return runs.flatMap((whole) => {
    const { line, run, complete } = whole;
    const reported = run.results.flatMap((result) => {
      if (result.kind === "trouble") return [result.message];
      if (result.kind !== "test" || result.outcome !== "failed") return [];
      return [`${result.file}: ${result.name}: ${result.message ?? "failed"}`];
    });
    const unseen = complete ? CLAUSES.filter((clause) => clauseOutcome(run, clause) === null) : [];
    const missing = unseen.map(({ clause, file, test }) => `${clause}: ${file} has no result for "${test}"`);
    const unsteady = run.results.filter((result) => result.kind === "test" && result.outcome === "unsteady").length;
    const many =
      unsteady > UNSTEADY_MAX ? [`${unsteady} tests are unsteady; ${UNSTEADY_MAX} at most are passed over`] : [];
    const end = run.ended ? [] : [`the suite did not come to its end; its console: ${run.console}`];
    return [...reported, ...missing, ...many, ...end].map((text) => `${line}: ${text}`);
  });
}

/** What failed in one of two runs, with its words. */
export function unsteadyTests(runs: readonly KernelRun[]): string[] {
  return runs.flatMap(({ line, run }) =>
    run.results
      .filter(isKind("test"))
      .filter(({ outcome }) => outcome === "unsteady")
      .map(({ file, name, message }) => `${line}: ${file}: ${name}: ${message ?? "failed once"}`),
  );
}

/** What was skipped, with the reason and the kernels. */
export function skips(runs: readonly KernelRun[]): string[] {
  const lines = new Map<string, string[]>();
  for (const { line, run } of runs) {
    for (const result of run.results) {
      if (result.kind !== "test" || result.outcome !== "skipped") continue;
      const text = `${result.file}: ${result.name}: ${result.message ?? "no reason is given"}`;
      lines.set(text, [...(lines.get(text) ?? []), line]);
    }
  }
  return [...lines].map(([text, names]) => `${text} (${names.join(", ")})`);
}

/** The worst outcome of the tests that show a clause; null if there is none. */
function clauseOutcome({ results }: GuestRun, { file, test }: Clause): TestResult["outcome"] | null {
  const outcomes = results
    .filter(isKind("test"))
    .filter((result) => result.file === `test/e2e/${file}.test.ts` && result.name.startsWith(test))
    .map(({ outcome }) => outcome);
  return (["failed", "unsteady", "skipped", "passed"] as const).find((outcome) => outcomes.includes(outcome)) ?? null;
}

/** Clause by kernel. */
export function clauseTable(runs: readonly KernelRun[]): string {
  return crossTable<{ clause: string; outcome: TestResult["outcome"] }>(runs, {
    title: "clause",
    select: (run) =>
      CLAUSES.flatMap((clause) => {
        const outcome = clauseOutcome(run, clause);
        return outcome === null ? [] : [{ clause: clause.clause, outcome }];
      }),
    rowOf: ({ clause }) => clause,
    cellOf: ({ outcome }) => WORDS[outcome],
  });
}

/** Seconds by part of the suite and kernel. */
export function timeTable(runs: readonly KernelRun[]): string {
  return crossTable<PartResult>(
    runs,
    {
      title: "seconds",
      select: ({ results }) => results.filter(isKind("part")),
      rowOf: ({ name }) => name,
      cellOf: ({ milliseconds }) => (milliseconds / 1000).toFixed(1),
    },
    { numbers: true },
  );
}

/** Whether the whole suite went well. */
export function isGreen(run: KernelRun): boolean {
  return failures([run]).length === 0 && run.run.results.some((result) => result.kind === "end" && result.status === 0);
}
