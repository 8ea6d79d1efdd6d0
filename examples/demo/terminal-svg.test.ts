import assert from "node:assert/strict";
import { test } from "node:test";
import { plainText, terminalSvg } from "./terminal-svg.ts";

const OPTIONS = { title: "a & b", columns: 20, rows: 2, rest: 1, still: 2 };

test("a coloured piece keeps its column, its class and its width", () => {
  const svg = terminalSvg([{ time: 0, text: "ab \u001b[31mdropped\u001b[0m <x>" }], OPTIONS);
  assert.match(svg, /<tspan x="23\.4" textLength="54\.6" class="r">dropped<\/tspan>/);
  assert.match(svg, /<tspan x="85\.8" textLength="23\.4">&lt;x&gt;<\/tspan>/);
  assert.match(svg, /aria-label="a &amp; b"/);
});

test("what stands in a column stays there", () => {
  const svg = terminalSvg([{ time: 0, text: "one two   three" }], OPTIONS);
  assert.match(
    svg,
    /<tspan x="0\.0" textLength="54\.6">one two<\/tspan><tspan x="78\.0" textLength="39\.0">three<\/tspan>/,
  );
});

test("lines come at the bottom, at their time", () => {
  const lines = [0, 1, 3].map((time) => ({ time, text: `at ${time}` }));
  const svg = terminalSvg(lines, OPTIONS);
  assert.match(svg, / 0% \{ transform: translateY\(18px\)/);
  assert.match(svg, / 25\.00% \{ transform: translateY\(0px\)/);
  assert.match(svg, / 75\.00% \{ transform: translateY\(-18px\)/);
  assert.match(svg, /animation: roll 4\.0s/);
});

test("a transcript has no colours", () => {
  assert.equal(plainText("a\u001b[2m │ \u001b[0mb"), "a │ b");
});
