import assert from "node:assert/strict";
import { test } from "node:test";
import { scaleSectionOf, withScaleSection } from "./page.ts";

test("a section is added at the end of a page, and later replaced in its place", () => {
  const first = withScaleSection("# Page\n\ntext\n", "## Scale\n\n$1 old\n");
  assert.match(first, /^# Page\n\ntext\n\n<!--.*-->\n## Scale\n\n\$1 old\n<!--.*-->\n$/);
  const second = withScaleSection(`${first}\nafter\n`, "## Scale\n\nnew\n");
  assert.match(second, /text\n\n<!--.*-->\n## Scale\n\nnew\n<!--.*-->\n\nafter\n$/);
  assert.ok(!second.includes("old"));
});

test("the section of a page is found with its marks, so that a page made anew can keep it", () => {
  assert.equal(scaleSectionOf("# Page\n"), "");
  const page = withScaleSection("# Page\n", "## Scale");
  assert.ok(page.endsWith(`\n\n${scaleSectionOf(page)}`));
  assert.equal(withScaleSection(`# New\n\n${scaleSectionOf(page)}`, "## Scale"), page.replace("Page", "New"));
});
