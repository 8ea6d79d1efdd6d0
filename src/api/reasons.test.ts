import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { REASONS } from "./reasons.ts";

const PAGE = readFileSync(new URL("../../docs/reasons.md", import.meta.url), "utf8");

test("docs/reasons.md has a section for each reason, in the list's order, and no other", () => {
  const headings = [...PAGE.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(headings, REASONS);
});

test("each section says what the reason means", () => {
  const sections = PAGE.split(/^## \w+$/m).slice(1);
  for (const [index, text] of sections.entries()) {
    if (REASONS[index] !== "Allowed") assert.match(text, /\*\*What it means\.\*\*/, REASONS[index]);
  }
});
