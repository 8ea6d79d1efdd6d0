/** Results of policy tests: as tests print them, as JSON, and as JUnit's XML, which CI systems show. */
import { styleText } from "node:util";
import { printable } from "../../api/printable.ts";
import { REASON_WORDS } from "../../api/reasons.ts";
import { fold } from "../../terminal/fit.ts";
import type { TestCase } from "./format.ts";
import type { CaseResult, Outcome } from "./judge-case.ts";

export interface TestResult {
  file: string;
  name: string;
  cases: (CaseResult & { line: number })[];
  /** Milliseconds. */
  duration: number;
}

/** One line for each case, and what was expected instead below those that failed. @param width columns of a line */
export function resultsText(results: readonly TestResult[], width: number): string {
  const lines = results.flatMap(({ file, name, cases }) => [
    styleText("bold", printable(`${file}: ${name}`)),
    ...cases.flatMap((result) => caseLines(file, result, width)),
    "",
  ]);
  return `${[...lines, summary(results)].join("\n")}\n`;
}

function caseLines(
  file: string,
  { test, passed, outcome, line }: TestResult["cases"][number],
  width: number,
): string[] {
  const mark = passed ? styleText("green", "ok  ") : styleText("red", "FAIL");
  const heading = fold(`  ${mark}  ${printable(test.name)}`, width, 8);
  if (passed) return heading;
  return [
    ...heading,
    ...[
      `${file}:${line}`,
      `expected  ${expected(test)}`,
      `got       ${got(outcome)}`,
      `because   ${outcome.because}`,
    ].flatMap((text) => fold(`        ${printable(text)}`, width, 18)),
  ];
}

/** What a case expects, in words. */
function expected({ expect, reason, rule }: TestCase): string {
  return [expect, reason === undefined ? "" : ` for ${reason}`, rule === undefined ? "" : ` by ${rule}`].join("");
}

/** What came of it, in words. */
function got({ verdict, reason, rules, question }: Outcome): string {
  const asked = question === null ? "" : ` (the question for ${question})`;
  if (verdict === "allow") return `allow${rules.length === 0 ? "" : ` by ${rules.join(", ")}`}${asked}`;
  return verdict === "unjudged" ? verdict : `${verdict} for ${reason}: ${REASON_WORDS[reason]}${asked}`;
}

function summary(results: readonly TestResult[]): string {
  const all = results.flatMap(({ cases }) => cases);
  const failed = all.filter(({ passed }) => !passed).length;
  const cases = `${all.length} case${all.length === 1 ? "" : "s"}`;
  return failed === 0 ? `${cases}, all passed` : `${cases}, ${styleText("red", `${failed} failed`)}`;
}

export function resultsJson(results: readonly TestResult[]): string {
  const tests = results.map(({ file, name, cases }) => ({
    file,
    name,
    cases: cases.map(({ test, passed, outcome, line }) => {
      const { expect, reason = null, rule = null } = test;
      return { name: test.name, line, passed, expected: { verdict: expect, reason, rule }, got: outcome };
    }),
  }));
  const passed = results.every(({ cases }) => cases.every((result) => result.passed));
  return `${JSON.stringify({ passed, tests }, null, 2)}\n`;
}

/** The dialect that Jenkins, GitLab and GitHub's actions read: suites, cases, and a failure in those that failed. */
export function resultsJunit(results: readonly TestResult[]): string {
  const suites = results.map(({ file, name, cases, duration }) => {
    const rows = cases.map((result) => junitCase(file, result));
    return [
      `  <testsuite ${attributes({ name, file, ...counts(cases), time: seconds(duration) })}>`,
      ...rows,
      "  </testsuite>",
    ];
  });
  const all = results.flatMap(({ cases }) => cases);
  const time = seconds(results.reduce((sum, { duration }) => sum + duration, 0));
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${attributes({ name: "portcullis", ...counts(all), time })}>`,
    ...suites.flat(),
    "</testsuites>",
    "",
  ].join("\n");
}

function junitCase(file: string, { test, passed, outcome, line }: TestResult["cases"][number]): string {
  const opening = `    <testcase ${attributes({ name: test.name, classname: file, file, line: String(line), time: "0" })}`;
  if (passed) return `${opening}/>`;
  const message = `expected ${expected(test)}, got ${got(outcome)}`;
  const failure = `<failure ${attributes({ message, type: outcome.reason })}>${escaped(outcome.because)}</failure>`;
  return `${opening}>\n      ${failure}\n    </testcase>`;
}

function counts(cases: readonly CaseResult[]) {
  const failures = cases.filter(({ passed }) => !passed).length;
  return { tests: String(cases.length), failures: String(failures), errors: "0", skipped: "0" };
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

function attributes(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(" ");
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Control characters have no place in XML, escaped or not; `printable` writes them out. */
function escaped(text: string): string {
  return printable(text).replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
