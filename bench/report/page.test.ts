import assert from "node:assert/strict";
import { test } from "node:test";
import { sectionOf, withSection } from "./page.ts";

test("a section is added at the end of a page, and later replaced in its place", () => {
  const first = withSection("# Page\n\ntext\n", "bench-scale", "## Scale\n\n$1 old\n");
  assert.match(first, /^# Page\n\ntext\n\n<!--.*-->\n## Scale\n\n\$1 old\n<!--.*-->\n$/);
  const second = withSection(`${first}\nafter\n`, "bench-scale", "## Scale\n\nnew\n");
  assert.match(second, /text\n\n<!--.*-->\n## Scale\n\nnew\n<!--.*-->\n\nafter\n$/);
  assert.ok(!second.includes("old"));
});

test("the section of a page is found with its marks, so that a page made anew can keep it", () => {
  assert.equal(sectionOf("# Page\n", "bench-scale"), "");
  const page = withSection("# Page\n", "bench-scale", "## Scale");
  assert.ok(page.endsWith(`\n\n${sectionOf(page, "bench-scale")}`));
  assert.equal(
    withSection(`# New\n\n${sectionOf(page, "bench-scale")}`, "bench-scale", "## Scale"),
    page.replace("Page", "New"),
  );
});
