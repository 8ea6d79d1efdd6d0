/** The tables of docs/kernels.md, written anew from a run: what programs cost and which ways they go, by kernel. */
import { readFileSync, writeFileSync } from "node:fs";
import { MatrixError } from "../errors.ts";
import type { GuestResult } from "../results.ts";
import type { KernelRun } from "./report.ts";

const BEGIN = "<!-- written by make test-kernels DOCS=write -->";
const END = "<!-- end of what is written -->";

/** Cells by row, in the order in which rows are first met; `null` where a kernel has nothing to say. */
function collect(
  runs: readonly KernelRun[],
  cellsOf: (results: readonly GuestResult[]) => Iterable<readonly [row: string, cell: string]>,
): Map<string, (string | null)[]> {
  const rows = new Map<string, (string | null)[]>();
  runs.forEach(({ run }, column) => {
    for (const [row, cell] of cellsOf(run.results)) {
      const cells = rows.get(row) ?? runs.map(() => null);
      cells[column] = cell;
      rows.set(row, cells);
    }
  });
  return rows;
}

function table(
  title: string,
  runs: readonly KernelRun[],
  rows: ReadonlyMap<string, readonly (string | null)[]>,
): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |\n`;
  const head = line([title, ...runs.map(({ line }) => line)]) + line(["---", ...runs.map(() => "---")]);
  return head + [...rows].map(([name, cells]) => line([name, ...cells.map((cell) => cell ?? "")])).join("");
}

function* hooks(results: readonly GuestResult[]): Generator<[string, string]> {
  for (const result of results) if (result.kind === "hook") yield [result.job, result.way];
}

function* features(results: readonly GuestResult[]): Generator<[string, string]> {
  for (const result of results) {
    if (result.kind === "feature") yield [`\`${result.feature}\``, result.available ? "yes" : "no"];
  }
}

function* programs(results: readonly GuestResult[]): Generator<[string, string]> {
  for (const result of results) {
    if (result.kind !== "program") continue;
    const { object, program, refused, verified, instructions } = result;
    const walked = verified === 0 ? "" : ` (${verified})`;
    yield [`${object}: \`${program}\``, refused === undefined ? `${instructions}${walked}` : "refused"];
  }
}

/** The three tables, as Markdown. Features that are the same on all kernels are left out. */
export function markdownTables(runs: readonly KernelRun[]): string {
  const differing = [...collect(runs, features)].filter(([, cells]) => new Set(cells).size > 1);
  return [
    table("job", runs, collect(runs, hooks)),
    table("feature", runs, new Map(differing)),
    table("program: instructions (walked by the verifier)", runs, collect(runs, programs)),
  ].join("\n");
}

/** Puts the tables of a run into the page. @throws MatrixError if it has no place for them */
export function writeTables(page: string, runs: readonly KernelRun[]): void {
  const text = readFileSync(page, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) throw new MatrixError(`${page} has no place for tables (${BEGIN}, ${END})`);
  const before = text.slice(0, begin + BEGIN.length);
  writeFileSync(page, `${before}\n\n${markdownTables(runs)}\n${text.slice(end)}`);
}
