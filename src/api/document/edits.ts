/** Mends as edits of the text, so that all that is not mended stays as it is: layout, quotes, comments. */
import { type Document, isMap, isScalar, isSeq, type Node, type Pair, type Scalar } from "yaml";
import type { FieldPath, Mend } from "../fields.ts";

/** Characters from `start` to before `end` become `text`. */
export interface Edit {
  start: number;
  end: number;
  text: string;
}

/**
 * The edit of the text that mends the field at the path.
 * @returns null where the field is not in the text as a plain value of its own: behind an alias, a block of text, with a tag
 */
export function editOf(text: string, document: Document, path: FieldPath, mend: Mend): Edit | null {
  if ("rename" in mend) return renameEdit(text, document, path, mend.rename);
  if ("remove" in mend) return removeEdit(text, document, listPath(path), mend.remove);
  const range = scalarRange(text, document.getIn(path, true));
  if (range === null) return null;
  const written = text.slice(range.start, range.end);
  if ("list" in mend) return { ...range, text: `[${written}]` };
  if ("quote" in mend) return { ...range, text: JSON.stringify(written) };
  return { ...range, text: scalarText(mend.write, written) };
}

/** The same in the document, to compare with what the text has become. */
export function mendDocument(document: Document, path: FieldPath, mend: Mend): void {
  if ("rename" in mend) {
    const pair = pairAt(document, path);
    if (pair !== null) (pair.key as Scalar).value = mend.rename;
  } else if ("remove" in mend) document.deleteIn([...listPath(path), mend.remove]);
  else if ("list" in mend) document.setIn(path, document.createNode([document.getIn(path)]));
  else if ("quote" in mend) document.setIn(path, (document.getIn(path, true) as Scalar).source);
  else document.setIn(path, mend.write);
}

/** The edits done. They must not overlap, and the last one of the text comes first. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  return edits.reduce((done, { start, end, text: piece }) => done.slice(0, start) + piece + done.slice(end), text);
}

/** The list that the path is, or is an entry of. */
function listPath(path: FieldPath): FieldPath {
  return typeof path.at(-1) === "number" ? path.slice(0, -1) : path;
}

function renameEdit(text: string, document: Document, path: FieldPath, name: string): Edit | null {
  const range = scalarRange(text, pairAt(document, path)?.key);
  return range === null ? null : { ...range, text: scalarText(name, text.slice(range.start, range.end)) };
}

function pairAt(document: Document, path: FieldPath): Pair | null {
  const parent: unknown = document.getIn(path.slice(0, -1), true);
  const name = path.at(-1);
  if (!isMap(parent)) return null;
  return parent.items.find(({ key }) => isScalar(key) && key.value === name) ?? null;
}

/** Where a value of one line stands; null for others, and for those with an anchor or a tag. */
function scalarRange(text: string, node: unknown): Pick<Edit, "start" | "end"> | null {
  if (!isScalar(node) || !node.range || node.anchor !== undefined || node.tag !== undefined) return null;
  const [start, end] = node.range;
  return start < end && !/\n/.test(text.slice(start, end)) ? { start, end } : null;
}

/** Words that need no quotes in YAML. */
const PLAIN = /^[A-Za-z/][A-Za-z0-9/._-]*$|^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+\/[0-9]+$/;

function scalarText(value: string | number, before: string): string {
  if (typeof value === "number") return String(value);
  return /^["']/.test(before) || !PLAIN.test(value) ? JSON.stringify(value) : value;
}

/** Takes an entry away, with its dash or its comma; a comment behind it keeps its line. */
function removeEdit(text: string, document: Document, path: FieldPath, index: number): Edit | null {
  const list: unknown = document.getIn(path, true);
  if (!isSeq(list)) return null;
  const [before, entry] = [rangeOf(text, list.items[index - 1]), rangeOf(text, list.items[index])];
  if (before === null || entry === null) return null;
  const between = text.slice(before.end, entry.start);
  if (list.flow) return between.includes("#") ? null : { start: before.end, end: entry.end, text: "" };
  const [lead = null] = /\n[ \t]*-[ \t]+$/.exec(between) ?? [];
  if (lead === null) return null;
  const lineStart = entry.start - lead.length;
  const comment = /^[ \t]+(?=#)/.exec(text.slice(entry.end));
  if (comment !== null)
    return { start: entry.start - lead.trimStart().length, end: entry.end + comment[0].length, text: "" };
  const blanks = /^[ \t]*/.exec(text.slice(entry.end))?.[0].length ?? 0;
  return { start: lineStart, end: entry.end + blanks, text: "" };
}

/** Without the line's end, which a block has in its range. */
function rangeOf(text: string, node: unknown): Pick<Edit, "start" | "end"> | null {
  const { range } = (node ?? {}) as Partial<Node>;
  if (!range) return null;
  const [start, end] = range;
  return { start, end: start + text.slice(start, end).trimEnd().length };
}
