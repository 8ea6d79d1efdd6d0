/** Text made to fit a number of columns: shortened in the middle, or folded between words. */
import { stripVTControlCharacters } from "node:util";

const ELLIPSIS = "…";

/** Characters that are seen: colours take no room. */
export function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** The beginning and the end of a text, with an ellipsis for what is between. */
export function shorten(text: string, width: number): string {
  if (text.length <= width) return text;
  const kept = Math.max(0, width - ELLIPSIS.length);
  const end = Math.floor(kept / 2);
  return `${text.slice(0, kept - end)}${ELLIPSIS}${text.slice(text.length - end)}`;
}

/** A path by its first folders and its file: `/usr/…/nginx`; the folders give way before the file's name does. */
export function shortenPath(path: string, width: number): string {
  if (path.length <= width) return path;
  const file = path.lastIndexOf("/");
  if (file < 0) return shorten(path, width);
  const tail = `${ELLIPSIS}${path.slice(file)}`;
  for (let end = path.lastIndexOf("/", file - 1); end > 0; end = path.lastIndexOf("/", end - 1)) {
    if (end + 1 + tail.length <= width) return `${path.slice(0, end)}/${tail}`;
  }
  return tail.length <= width ? tail : shorten(path.slice(file + 1), width);
}

/**
 * Folds a text between words; a word that is longer than a line stays whole, to be copied.
 * @param hanging columns that the lines after the first are indented by
 */
export function fold(text: string, width: number, hanging = 0): string[] {
  const lines: string[] = [];
  const [first = "", ...words] = text.split(" ");
  let line = first;
  for (const word of words) {
    if (visibleLength(line) + 1 + visibleLength(word) > width) {
      lines.push(line);
      line = `${" ".repeat(hanging)}${word}`;
    } else {
      line = `${line} ${word}`;
    }
  }
  return [...lines, line];
}
