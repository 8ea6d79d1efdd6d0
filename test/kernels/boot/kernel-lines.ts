/** The kernels of the matrix: stock Debian, the "cloud" flavour, each from the suite that has it. */
import { UsageError } from "../../../src/api/errors.ts";

export interface KernelLine {
  /** What users call it: the start of the release's name. */
  line: string;
  /** Debian suite. */
  suite: string;
  /** Whether nodes with it were laid out with cgroup v1 beside v2, so that containers are tested on that as well. */
  hybrid?: true;
}

/** Oldest first. The last suite moves on; its line says what was there when this was last looked at. */
export const KERNEL_LINES: readonly KernelLine[] = [
  { line: "5.10", suite: "bullseye", hybrid: true },
  { line: "6.1", suite: "bookworm" },
  { line: "6.12", suite: "trixie" },
  { line: "7.2", suite: "sid" },
];

/**
 * The lines to test.
 * @param names separated by spaces or commas; lines or suites; all lines if there are none
 * @throws UsageError
 */
export function selectLines(names: string): readonly KernelLine[] {
  const wanted = names.split(/[\s,]+/).filter((name) => name !== "");
  if (wanted.length === 0) return KERNEL_LINES;
  return wanted.map((name) => {
    const found = KERNEL_LINES.find(({ line, suite }) => name === line || name === suite);
    if (found !== undefined) return found;
    const known = KERNEL_LINES.map(({ line }) => line).join(", ");
    throw new UsageError(`KERNEL=${name} is not in the matrix: use ${known}`);
  });
}
