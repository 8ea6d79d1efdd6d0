/** `portcullis validate --fix`: files with what has one obvious mend mended, and what has changed in them. */
import { writeFileSync } from "node:fs";
import { styleText } from "node:util";
import { mendManifests } from "../../api/document/mend.ts";
import { fileFault, PortcullisError, UsageError } from "../../api/errors.ts";
import type { FieldError } from "../../api/fields.ts";
import { printable } from "../../api/printable.ts";
import { fold } from "../../terminal/fit.ts";
import { unifiedDiff } from "../../terminal/unified-diff.ts";
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
  const lines = files.flatMap((file) => (file.written ? mendedLines(file, width) : unifiedDiff(file)));
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
