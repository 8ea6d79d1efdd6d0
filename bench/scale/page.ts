/** Where the section "Scale" is on docs/benchmarks.md: the rest of the page is written by other runs, and each keeps what the other wrote. */
const BEGIN = "<!-- Written by make bench-scale. -->";
const END = "<!-- End of what make bench-scale writes. -->";

/** The section with its marks; empty where the page has none yet. */
export function scaleSectionOf(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  return begin < 0 || end < begin ? "" : `${page.slice(begin, end + END.length)}\n`;
}

/** The page with another section: in the place of the old one, or at the end. */
export function withScaleSection(page: string, section: string): string {
  const marked = `${BEGIN}\n${section.trim()}\n${END}\n`;
  const old = scaleSectionOf(page);
  return old === "" ? `${page.trimEnd()}\n\n${marked}` : page.replace(old, () => marked);
}
