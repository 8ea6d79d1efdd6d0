/** Answers on standard output: a table for people, or an object a line. */
import { Option } from "commander";
import { jsonText } from "../../api/printable.ts";
import { BOLD, painter, wantsColours } from "../../terminal/colours.ts";
import { type Fit, tableLines } from "../../terminal/table.ts";
import { lineWidth } from "../../terminal/width.ts";

export const QUESTION_FORMATS = ["text", "json"] as const;
export type QuestionFormat = (typeof QUESTION_FORMATS)[number];

export function outputOption(): Option {
  return new Option("-o, --output <format>", "format").choices(QUESTION_FORMATS).default("text");
}

/** @param rows the first is the heading */
export function printTable(rows: readonly (readonly string[])[], fits: readonly Fit[]): void {
  const { stdout } = process;
  const paint = painter(wantsColours(stdout));
  const lines = tableLines(rows, {
    fits,
    width: lineWidth(stdout),
    paint: (cell, row) => (row === 0 ? paint(BOLD, cell) : cell),
  });
  stdout.write(`${lines.join("\n")}\n`);
}

export function printObjects(objects: readonly object[]): void {
  for (const object of objects) process.stdout.write(`${jsonText(object)}\n`);
}
