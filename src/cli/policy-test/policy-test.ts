/** `portcullis test`: policy test files against profiles, without a kernel, an agent or a cluster. */
import { Command, Option } from "commander";
import { UsageError } from "../../api/errors.ts";
import { CompileError } from "../../policy/table/errors.ts";
import { lineWidth } from "../../terminal/width.ts";
import { ExitStatus, exitStatusHelp } from "../exit-status.ts";
import { judgeCase } from "./judge-case.ts";
import { type ReadTest, readTests } from "./read-test.ts";
import { resultsJson, resultsJunit, resultsText, type TestResult } from "./results.ts";

interface TestOptions {
  output: "text" | "json" | "junit";
}

const EXAMPLES = `
Examples:
  portcullis test examples/tests/              the .yaml, .yml and .json files of a folder
  portcullis test -o junit tests/ > junit.xml  for a CI system

docs/policy-tests.md describes the files.

${exitStatusHelp({ 0: "every case came out as expected", 1: "a case did not" })}`;

export function testCommand(): Command {
  return new Command("test")
    .summary("run policy test files against profiles")
    .description(
      "Runs policy test files: cases of what a process of a pod sends, receives, asks for or listens on, and what is expected. Needs no root, kernel or cluster.",
    )
    .argument("<path...>", "policy test files, folders of them, or - for standard input")
    .addOption(
      new Option("-o, --output <format>", "format of the results").choices(["text", "json", "junit"]).default("text"),
    )
    .addHelpText("after", EXAMPLES)
    .action((paths: string[], { output }: TestOptions) => {
      const results = readTests(paths).map(runTest);
      process.stdout.write(resultsIn(output, results));
      const passed = results.every(({ cases }) => cases.every((result) => result.passed));
      process.exitCode = passed ? ExitStatus.GOOD : ExitStatus.NO;
    });
}

/** @throws UsageError where profiles cannot be united */
function runTest({ file, test, profiles, asked, lines }: ReadTest): TestResult {
  const started = performance.now();
  const cases = test.cases.map((item, index) => {
    try {
      return { ...judgeCase(profiles, item, asked[index] as ReadTest["asked"][number]), line: lines[index] ?? 1 };
    } catch (cause) {
      if (!(cause instanceof CompileError)) throw cause;
      throw new UsageError(`${file}:${lines[index]}: case "${item.name}": ${cause.message}`, { cause });
    }
  });
  return { file, name: test.metadata.name, cases, duration: performance.now() - started };
}

function resultsIn(output: TestOptions["output"], results: readonly TestResult[]): string {
  if (output === "json") return resultsJson(results);
  return output === "junit" ? resultsJunit(results) : resultsText(results, lineWidth(process.stdout));
}
