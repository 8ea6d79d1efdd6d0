/** How a command says that it has failed. */
import { styleText } from "node:util";
import type { PortcullisError } from "../api/errors.ts";
import { printableLines } from "../api/printable.ts";
import { fold } from "../terminal/fit.ts";
import { lineWidth } from "../terminal/width.ts";

/** For standard error: what happened, and the code by which it is known. Red, and folded, where that is a terminal. */
export function errorLine({ message, code }: PortcullisError): string {
  const text = `${styleText("red", "error", { stream: process.stderr })}: ${printableLines(message)} [${code}]`;
  const width = lineWidth(process.stderr);
  return `${text
    .split("\n")
    .flatMap((line) => fold(line, width, 2))
    .join("\n")}\n`;
}
