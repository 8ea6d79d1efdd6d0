/** Finding the word, or the path, that was probably meant. */
import { basename, dirname } from "node:path/posix";

/** Number of single-character insertions, deletions and replacements, and swaps of two neighbours, that lead from one text to the other. */
export function editDistance(from: string, to: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replace = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      const insert = (current[column - 1] ?? 0) + 1;
      const remove = (previous[column] ?? 0) + 1;
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const swap = swapped ? (beforePrevious[column - 2] ?? Number.POSITIVE_INFINITY) + 1 : Number.POSITIVE_INFINITY;
      current.push(Math.min(replace, insert, remove, swap));
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[to.length] ?? 0;
}

/** Longer texts than this are no misspelt words. */
const LONGEST_WORD = 64;

/** The candidate closest to `text`, regardless of case; null where none is within a third of its length (at least 1). */
export function nearest(text: string, candidates: readonly string[]): string | null {
  if (text.length > LONGEST_WORD) return null;
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(text.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return bestDistance <= Math.max(1, Math.floor(text.length / 3)) ? best : null;
}

/** As `nearest`; null, too, where another candidate is as close. */
export function onlyNearest(text: string, candidates: readonly string[]): string | null {
  const close = nearest(text, candidates);
  return close === nearest(text, candidates.toReversed()) ? close : null;
}

/** The path that was probably meant: of a file of this name in another folder, or of one that is spelt almost so in the same; else null. */
export function nearestPath(path: string, candidates: readonly string[]): string | null {
  const name = basename(path);
  const elsewhere = candidates.find((candidate) => candidate !== path && basename(candidate) === name);
  if (elsewhere !== undefined) return elsewhere;
  const beside = candidates.filter((candidate) => dirname(candidate) === dirname(path));
  const meant = nearest(
    name,
    beside.map((candidate) => basename(candidate)),
  );
  return beside.find((candidate) => basename(candidate) === meant) ?? null;
}
