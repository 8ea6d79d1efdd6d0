/** Columns that line up. */
import { printable } from "../api/printable.ts";

/** Rows as lines; each column as wide as its widest cell. The first row is the heading. */
export function tableLines(rows: readonly (readonly string[])[], indent = ""): string[] {
  const cells = rows.map((row) => row.map(printable));
  const widths: number[] = [];
  for (const row of cells) {
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  }
  return cells.map((row) =>
    `${indent}${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join("  ")}`.trimEnd(),
  );
}
