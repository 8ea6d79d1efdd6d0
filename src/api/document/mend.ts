/** Mends of manifests: what has one obvious mend is mended in the text, and nothing else of it changes. No I/O. */
import { isDeepStrictEqual } from "node:util";
import { Lexer, parseAllDocuments, visit } from "yaml";
import { type FieldError, type FieldPath, fieldError, type Mend } from "../fields.ts";
import { type Manifest, parseManifests } from "../manifest.ts";
import { findingsOf } from "../validation/validate.ts";
import type { DocumentSource } from "./document-source.ts";
import { applyEdits, type Edit, editOf, mendDocument } from "./edits.ts";

export interface MendedText {
  text: string;
  /** What was wrong, at its place in the text as it was in its round. */
  mended: FieldError[];
}

/** A mend may show what it hid: a value that is now there twice, say. More rounds than that mend nothing. */
const ROUNDS_MAX = 8;

/**
 * Mends what has one mend, in every profile of a text.
 * @param source name of the file, for findings
 */
export function mendManifests(text: string, source: string): MendedText {
  const mended: FieldError[] = [];
  let current = text;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const next = mendOnce(current, source);
    if (next.mended.length === 0) break;
    mended.push(...next.mended.toReversed());
    current = next.text;
  }
  return { text: current, mended };
}

/** A mend of one field, ready to be done. */
interface Candidate {
  edit: Edit;
  /** From the root of the document. */
  path: FieldPath;
  place: DocumentSource;
  mend: Mend;
  error: FieldError;
}

function mendOnce(text: string, source: string): MendedText {
  const { manifests, errors } = parseManifests(text, source);
  const found = errors.length > 0 ? [] : distinct(manifests.flatMap((manifest) => candidatesOf(text, manifest)));
  // One that would take more with it than it should is rare: then each is tried alone.
  const sound = isSound(text, found) ? found : found.filter((candidate) => isSound(text, [candidate]));
  return { text: applied(text, sound), mended: sound.map(({ error }) => error) };
}

function candidatesOf(text: string, { object, source: place }: Manifest): Candidate[] {
  if (hasAliases(place)) return [];
  const { errors, warnings } = findingsOf(object);
  return [...errors, ...warnings].flatMap(({ path: below, finding }) => {
    const { mend } = finding;
    const path = [...place.base, ...below];
    const edit = mend === undefined ? null : editOf(text, place.document, path, mend);
    if (mend === undefined || edit === null) return [];
    return [{ edit, path, place, mend, error: fieldError(below, finding, place) }];
  });
}

/** Last ones first, so that each leaves the others where they are. */
function distinct(candidates: Candidate[]): Candidate[] {
  const sorted = candidates.toSorted((left, right) => right.edit.start - left.edit.start);
  return sorted.filter(({ edit }, index) => index === 0 || edit.end <= (sorted[index - 1] as Candidate).edit.start);
}

/** An anchored value is another field's, too. */
function hasAliases({ document }: DocumentSource): boolean {
  let found = false;
  visit(document, {
    Alias: () => {
      found = true;
      return visit.BREAK;
    },
  });
  return found;
}

function applied(text: string, candidates: readonly Candidate[]): string {
  return applyEdits(
    text,
    candidates.map(({ edit }) => edit),
  );
}

/** Whether the text is then exactly what the mends make of its documents, with every comment that it had. */
function isSound(text: string, candidates: readonly Candidate[]): boolean {
  const after = applied(text, candidates);
  const [before, now] = [text, after].map((each) => parseAllDocuments(each, { merge: true }));
  if (!Array.isArray(before) || !Array.isArray(now) || now.some(({ errors }) => errors.length > 0)) return false;
  for (const { path, place, mend } of candidates) {
    const document = before.find(({ range }) => isDeepStrictEqual(range, place.document.range));
    if (document === undefined) return false;
    mendDocument(document, path, mend);
  }
  const [meant, written] = [before, now].map((documents) => documents.map((document) => document.toJS()));
  return isDeepStrictEqual(meant, written) && isDeepStrictEqual(commentsOf(text), commentsOf(after));
}

function commentsOf(text: string): string[] {
  return [...new Lexer().lex(text)].filter((token) => token.startsWith("#"));
}
