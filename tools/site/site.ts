/**
 * The documentation as a static site: each page as HTML, a navigation by docs/README.md, and an index for the search. Pages of docs/ are
 * at the top, the others below their folders; files that pages link to (examples, pictures) are copied.
 */
import { copyFileSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path/posix";
import MiniSearch from "minisearch";
import { frame, type NavigationSection } from "./frame.ts";
import { markdown, PAGES, type Page, plainText, ROOT, readPage, resolveLink } from "./pages.ts";

const INDEX_PAGE = "docs/README.md";
const ASSETS = ["style.css", "search.js"];

/** assets/search.js reads the index with the same. */
const INDEX_OPTIONS = { fields: ["heading", "page", "text"], storeFields: ["heading", "page"] };

/** A heading, with the text below it. */
interface SearchEntry {
  /** Address in the site, with the heading's anchor. */
  id: string;
  /** Title of the page. */
  page: string;
  heading: string;
  text: string;
}

/** Writes the site into this folder, which is emptied. @returns the files of pages in it */
export function writeSite(folder: string): string[] {
  rmSync(folder, { recursive: true, force: true });
  const pages = PAGES.map((path) => readPage(path));
  const navigation = navigationOf(pages.find(({ path }) => path === INDEX_PAGE) as Page);
  const files = new Set<string>();
  for (const page of pages) {
    write(folder, outputOf(page.path), frame(page, navigation, htmlOf(page, files), urlFrom(page.path)));
  }
  for (const file of files) copy(join(ROOT, file), join(folder, outputOf(file)));
  for (const asset of ASSETS) copy(join(import.meta.dirname, "assets", asset), join(folder, "assets", asset));
  copy(join(ROOT, "node_modules/minisearch/dist/umd/index.js"), join(folder, "assets/minisearch.js"));
  write(folder, "assets/index.js", `const searchIndex = ${JSON.stringify(searchIndex(pages))};\n`);
  return pages.map(({ path }) => outputOf(path));
}

/** The path in the site of a file of the repository. */
export function outputOf(path: string): string {
  if (path === "README.md") return "about.html";
  return path
    .replace(/^docs\//, "")
    .replace(/(^|\/)README\.md$/, "$1index.html")
    .replace(/\.md$/, ".html");
}

/** From a page's place in the site to another one's. */
function urlFrom(page: string): (path: string) => string {
  return (path) => relative(dirname(outputOf(page)), outputOf(path));
}

/** The page's HTML with its links led to the site. Adds the files that it links to. A link to a folder leads nowhere in a site: its words stay. */
function htmlOf({ path, tokens }: Page, files: Set<string>): string {
  for (const token of tokens.flatMap(({ children }) => children ?? [])) {
    const attribute = token.attrGet("href") === null ? "src" : "href";
    const target = token.attrGet(attribute);
    if (target === null) continue;
    const link = resolveLink(path, String(target));
    if (link.path === null) continue;
    const hash = link.anchor === "" ? "" : `#${link.anchor}`;
    if (PAGES.includes(link.path)) token.attrSet(attribute, `${urlFrom(path)(link.path)}${hash}`);
    else if (statSync(join(ROOT, link.path)).isFile()) {
      files.add(link.path);
      token.attrSet(attribute, urlFrom(path)(link.path));
    } else token.attrs = [];
  }
  return markdown.renderer.render(tokens, markdown.options, {});
}

/** The headings of docs/README.md, and the pages below each. */
function navigationOf({ tokens }: Page): NavigationSection[] {
  const sections: NavigationSection[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token.type === "heading_open" && token.tag === "h2") {
      sections.push({ title: plainText(tokens[index + 1]), pages: [] });
    }
    for (const [place, child] of (token.children ?? []).entries()) {
      const target = child.attrGet("href");
      const path = target === null ? null : resolveLink(INDEX_PAGE, String(target)).path;
      const title = token.children?.[place + 1]?.content ?? "";
      if (path !== null) sections.at(-1)?.pages.push({ path, title: title[0]?.toUpperCase() + title.slice(1) });
    }
  }
  return sections;
}

/** One entry for each heading, with the text below it. */
function searchIndex(pages: readonly Page[]): unknown {
  const index = new MiniSearch<SearchEntry>(INDEX_OPTIONS);
  for (const page of pages) index.addAll(entriesOf(page));
  return index.toJSON();
}

function entriesOf({ path, title, tokens }: Page): SearchEntry[] {
  const entries: SearchEntry[] = [];
  for (const [place, token] of tokens.entries()) {
    if (token.type === "heading_open") {
      const url = `${outputOf(path)}#${token.attrGet("id")}`;
      entries.push({ id: url, page: title, heading: plainText(tokens[place + 1]), text: "" });
    } else if (token.type === "inline" || token.type === "fence") {
      const entry = entries.at(-1);
      if (entry !== undefined) entry.text += ` ${token.type === "fence" ? token.content : plainText(token)}`;
    }
  }
  return entries;
}

function write(folder: string, path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}
