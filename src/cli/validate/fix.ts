/** `portcullis validate --fix`: files with what has one obvious mend mended, and what has changed in them. */
import { writeFileSync } from "node:fs";
import { diff, styleText } from "node:util";
import { mendManifests } from "../../api/document/mend.ts";
import { fileFault, PortcullisError, UsageError } from "../../api/errors.ts";
import type { FieldError } from "../../api/fields.ts";
import { printable } from "../../api/printable.ts";
import { fold } from "../../terminal/fit.ts";
import { readManifestTexts } from "../input/manifest-files.ts";

export interface FixedFile {
  source: string;
  mended: FieldError[];
  before: string;
  after: string;
  written: boolean;
}

/** A file that was to be mended and cannot be written. */
export class UnwritableError extends PortcullisError {
  constructor(path: string, cause: unknown) {
    super("PC_UNWRITABLE", `cannot write ${path}: ${fileFault(cause)}`, { cause });
  }
}

/**
 * Mends the files that the paths stand for, and writes those that change. What cannot be read is left to validation.
 * @throws UsageError for standard input
 * @throws UnwritableError
 */
export function fixPaths(paths: readonly string[], { dryRun }: { dryRun: boolean }): FixedFile[] {
  if (paths.includes("-")) throw new UsageError("--fix writes files, and standard input is none: name the files");
  const fixed = paths.flatMap(readable).flatMap(({ source, text: before }) => {
    const { text: after, mended } = mendManifests(before, source);
    return mended.length === 0 ? [] : [{ source, mended, before, after, written: !dryRun }];
  });
  for (const file of fixed) if (file.written) write(file);
  return fixed;
}

function readable(path: string): ReturnType<typeof readManifestTexts> {
  try {
    return readManifestTexts(path);
  } catch (error) {
    if (!(error instanceof PortcullisError)) throw error;
    return [];
  }
}

function write({ source, after }: FixedFile): void {
  try {
    writeFileSync(source, after);
  } catch (cause) {
    throw new UnwritableError(source, cause);
  }
}

/** What was mended, a line each; of files that were not written, a unified diff. @param width columns of a line */
export function fixedText(files: readonly FixedFile[], width: number): string {
  const lines = files.flatMap((file) => (file.written ? mendedLines(file, width) : diffLines(file)));
  return lines.map((line) => `${line}\n`).join("");
}

function mendedLines({ source, mended }: FixedFile, width: number): string[] {
  return mended.flatMap(({ line, column, field, message }) =>
    fold(
      `${printable(`${source}:${line}:${column}`)}: ${styleText("green", "mended")}: ${printable(`${field} ${message}`)}`,
      width,
      4,
    ),
  );
}

const CONTEXT = 3;
/** Node's diff has 1 for what is in its first text only. */
const SIGNS = { "1": "-", "0": " ", "-1": "+" } as const;

function diffLines({ source, before, after }: FixedFile): string[] {
  const changes = diff(before.split("\n"), after.split("\n")).map(([sign, line]) => ({ sign, line }));
  const near = changes.map((_, index) =>
    changes.slice(Math.max(0, index - CONTEXT), index + CONTEXT + 1).some(({ sign }) => sign !== 0),
  );
  const lines = [`--- ${printable(source)}`, `+++ ${printable(source)}`];
  let [old, fresh] = [1, 1];
  for (const [index, { sign, line }] of changes.entries()) {
    if (near[index] && !near[index - 1]) lines.push(hunkHeading(changes.slice(index), near.slice(index), old, fresh));
    if (near[index]) lines.push(coloured(sign, `${SIGNS[sign]}${printable(line)}`));
    if (sign !== -1) old += 1;
    if (sign !== 1) fresh += 1;
  }
  return lines;
}

function hunkHeading(rest: { sign: -1 | 0 | 1 }[], near: boolean[], old: number, fresh: number): string {
  const end = near.indexOf(false);
  const hunk = rest.slice(0, end < 0 ? undefined : end);
  const without = (sign: number) => hunk.filter((change) => change.sign !== sign).length;
  return `@@ -${old},${without(-1)} +${fresh},${without(1)} @@`;
}

function coloured(sign: -1 | 0 | 1, line: string): string {
  return sign === 0 ? line : styleText(sign === 1 ? "red" : "green", line);
}
