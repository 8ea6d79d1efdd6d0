/**
 * The pages of the documentation, and the commands in them. Commands stand in fences of the language `sh`, without a prompt. What is behind
 * the language says how a test treats them:
 *
 *     sh                        is run, and has to end with status 0
 *     sh exit=1                 is run, and has to end with this status
 *     sh until=interrupted      is run, goes on by itself, and is ended after some seconds
 *     sh shown-by=FILE          is not run here: this test runs it
 *     sh not-run="WHY"          is not run: what it needs, or why it is only to be read
 *     text output               what the fence before it has printed, line by line; `…` stands for anything
 */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import MarkdownIt from "markdown-it";

export const ROOT = join(import.meta.dirname, "../..");

/** Every page that is for readers; records of decisions have no commands that a reader runs. */
export const PAGES: readonly string[] = [
  ...globSync("*.md", { cwd: ROOT }),
  ...globSync("{docs,examples}/**/*.md", { cwd: ROOT }),
].toSorted();

export interface Fence {
  page: string;
  /** Of the fence's first line in the page. */
  line: number;
  language: string;
  /** `exit=1` is "1"; a word without a value is "". */
  attributes: ReadonlyMap<string, string>;
  text: string;
}

const ATTRIBUTE = /([a-z-]+)(?:=(?:"([^"]*)"|(\S+)))?/g;
const markdown = new MarkdownIt();

export function pageText(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** All fences of a page, in order. */
export function fencesOf(page: string, text = pageText(page)): Fence[] {
  return markdown
    .parse(text, {})
    .filter(({ type }) => type === "fence")
    .map(({ info, content, map }) => {
      const [language = "", ...rest] = info.trim().split(" ");
      const attributes = [...rest.join(" ").matchAll(ATTRIBUTE)].map(
        ([, name = "", quoted, plain]) => [name, quoted ?? plain ?? ""] as const,
      );
      return { page, line: (map?.[0] ?? 0) + 1, language, attributes: new Map(attributes), text: content };
    });
}

export function isRun({ language, attributes }: Fence): boolean {
  return language === "sh" && !attributes.has("not-run") && !attributes.has("shown-by");
}
