/** Ratios as a picture: one bar for each variant, a line where the baseline is. Plain SVG, for light and dark pages. */
import type { Result } from "./table.ts";

const WIDTH = 960;
const LABELS = 330;
const VALUES = 70;
const BAR = 18;
const GAP = 6;
const HEADING = 40;
const MARGIN = 16;
/** Bars end here; what is longer is cut off and says so by its figure. */
const MOST = 3;

const STYLE = `
    :root { color-scheme: light dark; }
    text { font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", sans-serif; font-size: 13px; fill: #1f2328; }
    .heading { font-weight: 600; }
    .other { fill: #b7bec7; } .ours { fill: #1a7f37; } .one { stroke: #818b98; stroke-dasharray: 4 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; } .other { fill: #4a535e; } .ours { fill: #3fb950; } .one { stroke: #8d96a0; }
    }`;

/** One group of bars for each result that compares something. */
export function ratioChart(results: readonly Result[]): string {
  const shown = results.filter(({ rows }) => rows.length > 0);
  let top = MARGIN;
  const groups = shown.map((result) => {
    const group = groupOf(result, top);
    top += HEADING + result.rows.length * (BAR + GAP) + MARGIN;
    return group;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" role="img" aria-label="Benchmarks: time taken, against a baseline">`,
    `  <style>${STYLE}\n  </style>`,
    ...groups,
    "</svg>",
    "",
  ].join("\n");
}

function groupOf({ title, baseline, rows }: Result, top: number): string {
  const heading = `  <text class="heading" x="${MARGIN}" y="${top + 22}">${xmlText(`${title}: times ${baseline}`)}</text>`;
  const bars = rows.map((row, n) => barOf(row.name, row.ratio, top + HEADING + n * (BAR + GAP)));
  const line = position(1);
  const bottom = top + HEADING + rows.length * (BAR + GAP);
  return [
    heading,
    ...bars,
    `  <line class="one" x1="${line}" x2="${line}" y1="${top + HEADING - GAP}" y2="${bottom}"/>`,
  ].join("\n");
}

function barOf(name: string, ratio: number, y: number): string {
  const kind = name.startsWith("Portcullis") ? "ours" : "other";
  const width = position(Math.min(ratio, MOST)) - LABELS;
  const base = y + BAR - 4;
  return [
    `  <text x="${LABELS - 8}" y="${base}" text-anchor="end">${xmlText(name)}</text>`,
    `  <rect class="${kind}" x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${BAR}" rx="2"/>`,
    `  <text x="${(LABELS + width + 6).toFixed(1)}" y="${base}">${ratio.toFixed(2)}</text>`,
  ].join("\n");
}

function position(ratio: number): number {
  return LABELS + (ratio / MOST) * (WIDTH - LABELS - VALUES);
}

function xmlText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
