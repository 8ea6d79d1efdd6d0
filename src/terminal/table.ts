/** Columns that line up, within a width. */
import { printable } from "../api/printable.ts";
import { fold, shorten, shortenPath } from "./fit.ts";

/** What becomes of a column that there is no room for. Only the last one of a table may be folded. */
export type Fit = "keep" | "right" | "path" | "shorten" | "fold";

export interface TableOptions {
  /** One for each column. */
  fits: readonly Fit[];
  /** Columns of a line; Infinity: as many as it takes. */
  width: number;
  indent?: string;
  /** Colours a cell that has its width already. */
  paint?: (cell: string, row: number, column: number) => string;
}

const GAP = "  ";
/** No cell is made smaller: less of it would say nothing. */
const SMALLEST = 12;

const SHORTENERS: Partial<Record<Fit, (text: string, width: number) => string>> = {
  path: shortenPath,
  shorten,
};

/** Rows as lines, control characters in cells as escapes. A heading is the first row. */
export function tableLines(rows: readonly (readonly string[])[], options: TableOptions): string[] {
  const { fits, width, indent = "", paint = (cell: string) => cell } = options;
  const cells = rows.map((row) => row.map(printable));
  const widths = columnWidths(cells, fits, width - indent.length);
  const margin = indent.length + sum(widths.slice(0, -1)) + GAP.length * (widths.length - 1);
  return cells.flatMap((row, line) => {
    const fitted = row.map((cell, column) => fit(cell, fits[column] ?? "keep", widths[column] ?? 0));
    const [first = "", ...rest] = fitted.at(-1) ?? [];
    const whole = [...fitted.slice(0, -1).map(([cell = ""]) => cell), first];
    const text = whole.map((cell, column) => paint(cell, line, column)).join(GAP);
    return [`${indent}${text}`.trimEnd(), ...rest.map((more) => `${" ".repeat(margin)}${more.trimEnd()}`)];
  });
}

/** A cell as lines; all but a folded one are one line. */
function fit(cell: string, how: Fit, width: number): string[] {
  if (how === "fold") return fold(cell, width).map((line) => line.padEnd(Number.isFinite(width) ? width : 0));
  const text = SHORTENERS[how]?.(cell, width) ?? cell;
  return [how === "right" ? text.padStart(width) : text.padEnd(width)];
}

/** As wide as the widest cell; where that is too much, the widest of those that may give way do. */
function columnWidths(rows: readonly (readonly string[])[], fits: readonly Fit[], room: number): number[] {
  const widths = fits.map((_, column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const gaps = GAP.length * (fits.length - 1);
  for (let excess = sum(widths) + gaps - room; excess > 0; excess -= 1) {
    const widest = widestOf(widths, fits);
    if (widest === null) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return withFreedRoom(widths, rows, fits);
}

/** Paths are shortened by whole folders: what that leaves over is for the folded column. */
function withFreedRoom(widths: number[], rows: readonly (readonly string[])[], fits: readonly Fit[]): number[] {
  let freed = 0;
  const used = widths.map((width, column) => {
    const shortener = SHORTENERS[fits[column] ?? "keep"];
    if (shortener === undefined) return width;
    const most = Math.max(0, ...rows.map((row) => shortener(row[column] ?? "", width).length));
    freed += width - most;
    return most;
  });
  return used.map((width, column) => (fits[column] === "fold" ? width + freed : width));
}

function widestOf(widths: readonly number[], fits: readonly Fit[]): number | null {
  let found: number | null = null;
  widths.forEach((width, column) => {
    const gives = fits[column] !== "keep" && fits[column] !== "right" && width > SMALLEST;
    if (gives && (found === null || width > (widths[found] ?? 0))) found = column;
  });
  return found;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
