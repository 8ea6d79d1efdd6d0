/** Each row of the threat model's tables names what shows it, and all of that is there. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";

const ROOT = join(import.meta.dirname, "..");
const PAGES = ["docs/threat-model.md", "docs/threat-model-control-plane.md"];
/** A row of a table with a heading of this kind. The folder in it is where names without one are. */
const HEADING = /\| shown by(?: `([^`]+)\/`)? \|$/;
const COLUMN = /\| ([^|]*) \|$/;

const files = new Set(globSync("{src,test,bpf,bench}/**/*.ts", { cwd: ROOT }).map((path) => basename(path)));
const makefile = readFileSync(join(ROOT, "Makefile"), "utf8");

interface Row {
  page: string;
  text: string;
  folder: string;
  /** Test files, folders of them, and targets of make. */
  names: string[];
}

function rowsOf(page: string): Row[] {
  const rows: Row[] = [];
  let folder: string | null = null;
  for (const line of readFileSync(join(ROOT, page), "utf8").split("\n")) {
    const heading = HEADING.exec(line);
    if (heading !== null) folder = heading[1] ?? "";
    else if (!line.startsWith("|")) folder = null;
    else if (folder !== null && !line.startsWith("| ---")) {
      const column = COLUMN.exec(line)?.[1] ?? "";
      const names = [...column.matchAll(/`([^`]+)`/g)].map((match) => match[1] as string);
      rows.push({ page, text: line.slice(0, 100), folder, names });
    }
  }
  return rows;
}

function isThere(name: string, folder: string): boolean {
  const target = /^make ([a-z-]+)/.exec(name)?.[1];
  if (target !== undefined) return makefile.includes(`\n${target}: `);
  const paths = [name, `${name}.test.ts`].flatMap((path) => [path, join(folder, path)]);
  return paths.some((path) => existsSync(join(ROOT, path))) || files.has(name);
}

for (const page of PAGES) {
  const rows = rowsOf(page);

  test(`${page}: every row names tests that are there`, () => {
    assert.ok(rows.length >= 10, `only ${rows.length} rows were found`);
    for (const { text, folder, names } of rows) {
      assert.ok(names.length > 0, `no test is named in: ${text}`);
      const missing = names.filter((name) => !isThere(name, folder));
      assert.deepEqual(missing, [], `in: ${text}`);
    }
  });
}
