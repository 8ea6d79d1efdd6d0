/** Results as text. */
import type { Comparison } from "../statistics.ts";

/** What one benchmark found out about one thing. */
export interface Result {
  /** Name of the benchmark, and what of it. */
  title: string;
  /** What was measured, e.g. "ns per packet". */
  unit: string;
  /** Name of the variant that ratios are against. */
  baseline: string;
  rows: Comparison[];
  /** In place of `rows`, where there is nothing to compare. */
  columns?: string[];
  cells?: string[][];
  /** What the project wants to hold, and whether it does. */
  targets: Target[];
  /** What a reader has to know. */
  notes: string[];
}

export interface Target {
  text: string;
  measured: string;
  met: boolean;
}

const COLUMNS = ["variant", "median", "p99", "ratio", "±", "ratio p99", "over"];

/** Rows of a result, cells as text, the heading first. */
export function resultCells({ rows, columns, cells: given }: Result): string[][] {
  if (columns !== undefined && given !== undefined) return [columns, ...given];
  const cells = rows.map((row) => [
    row.name,
    figure(row.p50),
    figure(row.p99),
    row.ratio.toFixed(3),
    row.uncertainty.toFixed(3),
    row.ratioP99.toFixed(2),
    `${row.over >= 0 ? "+" : ""}${figure(row.over)}`,
  ]);
  return [COLUMNS, ...cells];
}

/** For the terminal. */
export function resultText(result: Result): string {
  const cells = resultCells(result);
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const lines = cells.map((row) =>
    row.map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0))).join("  "),
  );
  const head = result.baseline === "" ? result.title : `${result.title} (${result.unit}; against ${result.baseline})`;
  return [head, ...lines, ...result.targets.map(targetText), ...result.notes.map((note) => `  ${note}`), ""].join("\n");
}

export function targetText({ text, measured, met }: Target): string {
  return `${met ? "met   " : "MISSED"} ${text}: ${measured}`;
}

function figure(value: number): string {
  return Math.abs(value) >= 1000 ? Math.round(value).toString() : value.toFixed(1);
}
