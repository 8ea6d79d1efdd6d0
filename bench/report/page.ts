/** Sections of docs/benchmarks.md that are written by runs of their own: each run keeps what the others wrote. */

/** Name of the make target that writes a section. */
export type SectionName = "bench-scale" | "bench-plane";

const begin = (name: SectionName) => `<!-- Written by make ${name}. -->`;
const end = (name: SectionName) => `<!-- End of what make ${name} writes. -->`;

/** A section with its marks; empty where the page has none yet. */
export function sectionOf(page: string, name: SectionName): string {
  const from = page.indexOf(begin(name));
  const to = page.indexOf(end(name));
  return from < 0 || to < from ? "" : `${page.slice(from, to + end(name).length)}\n`;
}

/** The page with another section: in the place of the old one, or at the end. */
export function withSection(page: string, name: SectionName, section: string): string {
  const marked = `${begin(name)}\n${section.trim()}\n${end(name)}\n`;
  const old = sectionOf(page, name);
  return old === "" ? `${page.trimEnd()}\n\n${marked}` : page.replace(old, () => marked);
}
