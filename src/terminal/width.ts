/** How wide the lines of a stream may be. */

/** Lines are laid out for no less; what is narrower folds them. */
const NARROWEST = 60;
/** Of a terminal that does not say. */
const USUAL = 80;

interface Stream {
  isTTY?: boolean;
  columns?: number;
}

/**
 * Columns for lines to a stream, decided as ps(1) does: COLUMNS where the environment has it, else the terminal's width, and no limit
 * for a pipe or a file, which may be searched for what would be cut.
 * @returns Infinity where nothing is cut or folded
 */
export function lineWidth(stream: Stream, environment: NodeJS.ProcessEnv = process.env): number {
  const asked = Number(environment.COLUMNS);
  if (Number.isInteger(asked) && asked > 0) return Math.max(asked, NARROWEST);
  return stream.isTTY === true ? Math.max(stream.columns ?? USUAL, NARROWEST) : Number.POSITIVE_INFINITY;
}
