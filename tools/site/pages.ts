/** The Markdown pages of the repository: their headings as GitHub names them, and their links. */
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import GithubSlugger from "github-slugger";
import MarkdownIt, { type Token } from "markdown-it";

export const ROOT = join(import.meta.dirname, "../..");

/** All pages, as paths below the root. */
export const PAGES: readonly string[] = globSync("**/*.md", {
  cwd: ROOT,
  exclude: (path) => /(^|\/)(node_modules|build|\.cache)$/.test(path),
}).toSorted();

export interface Heading {
  level: number;
  text: string;
  slug: string;
}

export interface Link {
  /** As it is written. */
  target: string;
  /** The file or folder below the root that it leads to; null for another site. */
  path: string | null;
  /** Behind `#`; empty without one. */
  anchor: string;
}

export interface Page {
  path: string;
  title: string;
  tokens: Token[];
  headings: Heading[];
  links: Link[];
}

export const markdown = new MarkdownIt({ html: true });

/** Reads a page. Its headings' tokens get their slugs as `id`. */
export function readPage(path: string, text = readFileSync(join(ROOT, path), "utf8")): Page {
  const tokens = markdown.parse(text, {});
  const headings = headingsOf(tokens);
  return { path, title: headings[0]?.text ?? path, tokens, headings, links: linksOf(path, tokens) };
}

function headingsOf(tokens: readonly Token[]): Heading[] {
  const slugger = new GithubSlugger();
  return tokens.flatMap((token, index) => {
    if (token.type !== "heading_open") return [];
    const text = plainText(tokens[index + 1]);
    const slug = slugger.slug(text);
    token.attrSet("id", slug);
    return [{ level: Number(token.tag.slice(1)), text, slug }];
  });
}

/** The words of an inline token, without marks. */
export function plainText(token: Token | undefined): string {
  return (token?.children ?? []).map(({ type, content }) => (/break$/.test(type) ? " " : content)).join("");
}

function linksOf(page: string, tokens: readonly Token[]): Link[] {
  return tokens
    .flatMap((token) => token.children ?? [])
    .flatMap((token) => token.attrGet("href") ?? token.attrGet("src") ?? [])
    .map((target) => resolveLink(page, String(target)));
}

/** Where a link of a page leads. */
export function resolveLink(page: string, target: string): Link {
  if (/^[a-z]+:/.test(target)) return { target, path: null, anchor: "" };
  const [file = "", anchor = ""] = decodeURI(target).split("#");
  const path = file === "" ? page : normalize(join(dirname(page), file)).replace(/\/$/, "");
  return { target, path, anchor };
}
