/** Help texts at the width of the terminal: commander folds its own parts, this file the texts that commands append. */
import type { Command } from "commander";
import { fold } from "../terminal/fit.ts";
import { lineWidth } from "../terminal/width.ts";

/** Of what is no terminal, so that a manual page or a mail is easy to read. */
const USUAL = 80;
/** A command goes on with the next line, */
const CONTINUED = " \\";
/** which begins with this. */
const CONTINUATION = "    ";

/** Makes a command's help, and that of those that inherit its settings, fit the terminal. */
export function withFittingHelp(command: Command): Command {
  const outWidth = () => helpWidth(process.stdout);
  const errWidth = () => helpWidth(process.stderr);
  return command.configureOutput({
    getOutHelpWidth: outWidth,
    getErrHelpWidth: errWidth,
    writeOut: (text) => process.stdout.write(fitHelp(text, outWidth())),
    writeErr: (text) => process.stderr.write(fitHelp(text, errWidth())),
  });
}

function helpWidth(stream: { isTTY?: boolean; columns?: number }): number {
  const width = lineWidth(stream);
  return Number.isFinite(width) ? width : USUAL;
}

/**
 * Folds the lines that are too long: sentences as paragraphs, entries of a list below their own words, and commands where a
 * shell goes on with the next line.
 */
export function fitHelp(text: string, width: number): string {
  const [lead = ""] = /^\n*/.exec(text) ?? [];
  const parts = text.slice(lead.length).split("\n\n");
  return `${lead}${parts.map((part) => fitPart(part.split("\n"), width)).join("\n\n")}`;
}

function fitPart(lines: readonly string[], width: number): string {
  if (lines.every((line) => line.length <= width)) return lines.join("\n");
  if (lines.every((line) => !line.startsWith(" "))) return fold(lines.join(" "), width).join("\n");
  return lines.flatMap((line) => fitLine(line, width)).join("\n");
}

function fitLine(line: string, width: number): string[] {
  if (line.length <= width) return [line];
  const [, label] = /^( +\S.*? {2,})\S/.exec(line) ?? [];
  if (label !== undefined) return foldEntry(label, line.slice(label.length), width);
  return line.startsWith(" ") ? foldCommand(line, width) : fold(line, width);
}

function foldEntry(label: string, text: string, width: number): string[] {
  const [first = "", ...rest] = fold(text, width - label.length);
  return [`${label}${first}`, ...rest.map((line) => `${" ".repeat(label.length)}${line}`)];
}

/** Between words as a shell sees them, an option staying with what follows it. */
function foldCommand(line: string, width: number): string[] {
  const words = line.match(/(?:--?\w[\w-]* )?(?:'[^']*'|"[^"]*"|\S)+/g) ?? [];
  const lines = [" ".repeat(line.length - line.trimStart().length)];
  for (const [index, word] of words.entries()) {
    const last = lines.at(-1) ?? "";
    if (index > 0 && last.length + 1 + word.length + CONTINUED.length > width) {
      lines.splice(-1, 1, `${last}${CONTINUED}`, `${CONTINUATION}${word}`);
    } else {
      lines.splice(-1, 1, index === 0 ? `${last}${word}` : `${last} ${word}`);
    }
  }
  return lines;
}
