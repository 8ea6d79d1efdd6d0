/**
 * Every command's help fits the terminal that it is read at, 80 columns where there is none. As in snapshots/; after a change that is
 * meant: `make snapshots`.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { fitHelp } from "./help-text.ts";
import { kubectlProgram } from "./kubectl/program.ts";
import { wholeProgram } from "./program.ts";

/** What `--help` writes to a terminal of so many columns, or (null) to a pipe. */
function helpOf(command: Command, columns: number | null): string {
  const { isTTY, columns: before } = process.stdout;
  const { write } = process.stdout;
  let text = "";
  Object.assign(process.stdout, { isTTY: columns !== null, columns: columns ?? undefined });
  process.stdout.write = (chunk) => {
    text += chunk;
    return true;
  };
  try {
    command.outputHelp();
  } finally {
    Object.assign(process.stdout, { isTTY, columns: before, write });
  }
  return text;
}

delete process.env.COLUMNS;
process.env.NO_COLOR = "1";

for (const root of [await wholeProgram(), kubectlProgram()]) {
  for (const command of [root, ...root.commands]) {
    const name = command === root ? root.name() : `${root.name()} ${command.name()}`;
    for (const [label, columns, width] of [
      ["60", 60, 60],
      ["80", 80, 80],
      ["120", 120, 120],
      ["pipe", null, 80],
    ] as const) {
      test(`${name} --help, ${columns === null ? "in a pipe" : `at ${columns} columns`}`, (context) => {
        const text = helpOf(command, columns);
        // A word that is wider than its column stays whole.
        const wide = text.split("\n").filter((line) => line.length > width && line.trim().includes(" "));
        assert.deepEqual(wide, []);
        assert.notEqual(text, "");
        if (label !== "80") return;
        const file = join(import.meta.dirname, `snapshots/help-${name.replaceAll(" ", "-")}.txt`);
        context.assert.fileSnapshot(text, file, { serializers: [String] });
      });
    }
  }
}

test("a command goes on with the next line as a shell reads it, and never within quotes", () => {
  const text = "Examples:\n  first --with 'a word or two' | second --and \"another one\" --more";
  const lines = fitHelp(text, 30).split("\n").slice(1);
  assert.deepEqual(lines, [
    "  first \\",
    "    --with 'a word or two' | \\",
    "    second \\",
    '    --and "another one" \\',
    "    --more",
  ]);
});
