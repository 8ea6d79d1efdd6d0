/** How a command says that it has failed. */
import { styleText } from "node:util";
import type { PortcullisError } from "../api/errors.ts";
import { printableLines } from "../api/printable.ts";

/** One line for standard error: what happened, and the code by which it is known. Red where that is a terminal. */
export function errorLine({ message, code }: PortcullisError): string {
  return `${styleText("red", "error", { stream: process.stderr })}: ${printableLines(message)} [${code}]\n`;
}
