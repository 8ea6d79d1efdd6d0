/** Every command's help says how it ends, in the words of docs/commands.md. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { exitStatusTable } from "./exit-status.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/commands.md"), "utf8");

const PROGRAMS = { portcullis: "src/cli/main.ts", "kubectl portcullis": "src/cli/kubectl/main.ts" };

for (const [program, file] of Object.entries(PROGRAMS)) {
  const help = (...args: string[]) =>
    execFileSync(process.execPath, ["--disable-warning=ExperimentalWarning", join(ROOT, file), ...args, "--help"], {
      encoding: "utf8",
      env: { PATH: process.env.PATH, COLUMNS: "200" },
    });
  const overview = help();
  const list = overview.split("Commands:\n")[1]?.split("\n\n")[0] ?? "";
  const commands = [...list.matchAll(/^ {2}([a-z]+) /gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help");

  for (const name of commands) {
    test(`${program} ${name}: its help and docs/commands.md have the same statuses`, () => {
      const text = help(name);
      const [, statuses] = text.split("\nExit status:\n");
      assert.ok(statuses, "the help ends with the exit statuses");
      const rows = statuses
        .trimEnd()
        .split("\n")
        .map((line) => line.trim().replace(/^(\S+) {2}(.*)$/, "| `$1` | $2 |"));
      const [, section = ""] = PAGE.split(`\n### ${program} ${name}\n`);
      const table = section
        .split("\n#")[0]
        ?.split("\n")
        .filter((line) => line.startsWith("| `"));
      assert.deepEqual(table, rows);
    });
  }

  test(`${program}: docs/commands.md has no command that is not there`, () => {
    const listed = [...PAGE.matchAll(new RegExp(`^### ${program} (\\S+)$`, "gm"))].map(([, name]) => name);
    assert.deepEqual(listed.toSorted(), commands.toSorted());
  });
}

test("docs/commands.md has the table of all statuses", () => {
  assert.ok(PAGE.includes(exitStatusTable()));
});
