/** What is around each page of the site: navigation, search, and the page's own headings. */
import { markdown, type Page } from "./pages.ts";

const { escapeHtml } = markdown.utils;

export interface NavigationSection {
  title: string;
  pages: { path: string; title: string }[];
}

/**
 * The whole HTML of a page.
 * @param url from this page to a file of the repository
 */
export function frame(
  page: Page,
  navigation: readonly NavigationSection[],
  content: string,
  url: (path: string) => string,
): string {
  const top = url("docs/README.md").replace(/index\.html$/, "");
  const script = (name: string) => `<script defer src="${top}assets/${name}"></script>`;
  return `<!doctype html>
<html lang="en-GB">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(page.title)}${page.title === "Portcullis" ? "" : " · Portcullis"}</title>
<link rel="stylesheet" href="${top}assets/style.css">
${["minisearch.js", "index.js", "search.js"].map(script).join("\n")}
</head>
<body data-top="${top}">
<a class="skip" href="#content">Skip to the content</a>
<nav aria-label="Pages">
<p class="name"><a href="${url("docs/README.md")}">Portcullis</a></p>
<input type="search" id="search" placeholder="Search" aria-label="Search the documentation" autocomplete="off">
<ol id="results" hidden></ol>
${navigation.map((section) => sectionHtml(section, page, url)).join("\n")}
</nav>
<main id="content">
${content}
</main>
${outline(page)}
</body>
</html>
`;
}

function sectionHtml({ title, pages }: NavigationSection, current: Page, url: (path: string) => string): string {
  const items = pages.map((page) => {
    const mark = page.path === current.path ? ' aria-current="page"' : "";
    return `<li><a href="${url(page.path)}"${mark}>${escapeHtml(page.title)}</a></li>`;
  });
  return `<h2>${escapeHtml(title)}</h2>\n<ul>\n${items.join("\n")}\n</ul>`;
}

/** Links to the sections of a page that has several. */
function outline({ headings }: Page): string {
  const sections = headings.filter(({ level }) => level === 2);
  if (sections.length < 2) return "";
  const items = sections.map(({ slug, text }) => `<li><a href="#${slug}">${escapeHtml(text)}</a></li>`);
  return `<aside aria-label="On this page"><h2>On this page</h2><ul>\n${items.join("\n")}\n</ul></aside>`;
}
