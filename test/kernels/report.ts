/** The tables that a run of the matrix prints: tests, programs and features, each by kernel. */
import type { GuestRun } from "./guest.ts";
import type { Kernel } from "./kernel-cache.ts";
import type { FeatureResult, ProgramResult, TestResult } from "./results.ts";
import { formatTable } from "./table.ts";

/** A kernel and what became of its guest. */
export interface KernelRun {
  kernel: Kernel;
  run: GuestRun;
}

const NOTHING = "-";
const WORDS: Record<TestResult["outcome"], string> = { passed: "ok", failed: "FAILED", skipped: "skipped" };

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
  const head = [title, ...runs.map(({ kernel }) => kernel.line)];
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

/** Everything that went wrong, with its words. */
export function failures(runs: readonly KernelRun[]): string[] {
  return runs.flatMap(({ kernel, run }) => {
    const told = run.results.flatMap((result) => {
      if (result.kind === "trouble") return [result.message];
      if (result.kind !== "test" || result.outcome !== "failed") return [];
      return [`${result.file}: ${result.name}: ${result.message ?? "failed"}`];
    });
    const end = run.ended ? [] : [`the guest did not come to its end; its console: ${run.console}`];
    return [...told, ...end].map((text) => `${kernel.line}: ${text}`);
  });
}

/** Whether a guest's whole suite went well. */
export function isGreen({ run }: KernelRun): boolean {
  return run.results.some((result) => result.kind === "end" && result.status === 0);
}
