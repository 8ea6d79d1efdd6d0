/** The site: its own links lead to files and headings in it, it has every page, and its search finds what people look for. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { createContext, runInContext } from "node:vm";
import { PAGES } from "./pages.ts";
import { writeSite } from "./site.ts";

const folder = mkdtempSync(join(tmpdir(), "portcullis-site-"));
after(() => rmSync(folder, { recursive: true }));
const files = writeSite(folder);

test("it has every page, each under a name of its own", () => {
  assert.equal(new Set(files).size, PAGES.length);
});

test("all of its links lead to files of the site, and to headings that are there", () => {
  const html = new Map(files.map((file) => [file, readFileSync(join(folder, file), "utf8")]));
  let links = 0;
  for (const [file, text] of html) {
    for (const [, url = ""] of text.matchAll(/(?:href|src)="([^"]+)"/g)) {
      if (/^[a-z]+:/.test(url)) continue;
      const [path = "", anchor] = url.split("#");
      const target = path === "" ? file : join(dirname(file), path);
      assert.ok(existsSync(join(folder, target)), `${file}: ${url}`);
      if (anchor !== undefined) assert.ok(html.get(target)?.includes(` id="${anchor}"`), `${file}: ${url}`);
      links += 1;
    }
  }
  assert.ok(links > 1000, `only ${links} links were found`);
});

/** As much of a page as the search's scripts need. */
function searchPage(): (words: string) => string[] {
  let search = () => {};
  let found: { href: string }[][] = [];
  const field = { value: "", addEventListener: (_: string, listener: () => void) => (search = listener) };
  const list = {
    hidden: true,
    replaceChildren: (...items: { parts: { href: string }[] }[]) => (found = items.map(({ parts }) => parts)),
  };
  const document = {
    body: { dataset: { top: "" } },
    getElementById: (id: string) => (id === "search" ? field : list),
    createElement: () => {
      const parts: unknown[] = [];
      return { parts, href: "", append: (part: unknown) => parts.push(part) };
    },
  };
  const context = createContext({ document });
  for (const script of ["minisearch.js", "index.js", "search.js"]) {
    runInContext(readFileSync(join(folder, "assets", script), "utf8"), context);
  }
  return (words) => {
    field.value = words;
    search();
    assert.equal(list.hidden, found.length === 0);
    return found.map(([link]) => link?.href ?? "");
  };
}

test("the search finds pages by what people type", () => {
  const search = searchPage();
  for (const [words, page] of [
    ["cannot reach", "troubleshooting.html"],
    ["sidecar", "sidecars.html"],
    ["BinaryUnknown", "reasons.html#binaryunknown"],
    ["uninstal", "uninstall.html"],
    ["cilium", "cni.html"],
    ["argo", "gitops.html"],
  ] as const) {
    const found = search(words);
    assert.ok(
      found.slice(0, 5).some((url) => url.startsWith(page)),
      `${words}: ${found}`,
    );
  }
  assert.deepEqual(search("xyzzyxyzzy"), []);
});
