/** Every link of every page leads to a file or folder that is there, and to a heading that its page has. The index has every page. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { PAGES, type Page, ROOT, readPage } from "./pages.ts";

const pages = new Map(PAGES.map((path) => [path, readPage(path)]));

/** What is wrong with the links of a page. */
function faults(page: Page): string[] {
  return page.links.flatMap(({ target, path, anchor }) => {
    if (path === null) return /^(https|mailto):/.test(target) ? [] : [`${target}: not by https`];
    if (!existsSync(join(ROOT, path))) return [`${target}: there is no ${path}`];
    if (anchor === "" || pages.get(path)?.headings.some(({ slug }) => slug === anchor) === true) return [];
    return [`${target}: ${path} has no heading ${anchor}`];
  });
}

for (const page of pages.values()) {
  if (page.links.length > 0) test(`${page.path}: ${page.links.length} links`, () => assert.deepEqual(faults(page), []));
}

test("links that lead nowhere are found", () => {
  const text = "# One\n[a](#one) [b](#two) [c](none.md) [d](profiles.md#none) ![e](none.svg) [f](http://example.com)";
  assert.deepEqual(
    faults(readPage("docs/made-up.md", text)).map((fault) => fault.split(":")[0]),
    ["#one", "#two", "none.md", "profiles.md#none", "none.svg", "http"],
  );
});

test("docs/README.md has every page of docs", () => {
  const listed = new Set(pages.get("docs/README.md")?.links.map(({ path }) => path));
  const missing = PAGES.filter(
    (path) => /^docs\/[^/]+\.md$/.test(path) && path !== "docs/README.md" && !listed.has(path),
  );
  assert.deepEqual(missing, []);
});
