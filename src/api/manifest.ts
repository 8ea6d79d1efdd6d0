/** Manifests: YAML or JSON text with any number of documents, some of which are SecurityProfiles. No I/O. */
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import { DocumentSource, type ManifestProblem } from "./document/document-source.ts";
import { causeText } from "./errors.ts";
import { type PodTemplate, podTemplateOf } from "./pods/pod-templates.ts";
import { API_GROUP, KIND } from "./types.ts";

/** One SecurityProfile of a text, not validated yet. */
export interface Manifest {
  object: unknown;
  source: DocumentSource;
}

export interface ParsedManifests {
  manifests: Manifest[];
  /** Text that is not YAML, and documents that are not objects. */
  errors: ManifestProblem[];
  /** Objects of other kinds, which were skipped. */
  notes: ManifestProblem[];
  /** Pods among these objects, and what makes pods. */
  pods: PodTemplate[];
}

/**
 * Nodes that aliases may stand for in one document (`yaml` counts them as it resolves them), so that a small text
 * cannot become a huge object.
 */
const MAX_ALIASES = 100;

/** Parses a text. Never throws for bad input. `source` is the name of the file, for messages. */
export function parseManifests(text: string, source: string): ParsedManifests {
  const lines = new LineCounter();
  const parsed: ParsedManifests = { manifests: [], errors: [], notes: [], pods: [] };
  for (const document of parseDocuments(text, source, lines, parsed.errors)) {
    const place = new DocumentSource(source, lines, document);
    // The first one only: what follows is mostly its consequence.
    const syntax = document.errors.slice(0, 1).map((error) => syntaxProblem(source, error));
    parsed.errors.push(...syntax);
    if (syntax.length === 0) sortDocument(document, place, parsed);
  }
  return parsed;
}

/** The reader recurses; a text nested beyond its stack is refused like any other bad text. */
function parseDocuments(text: string, source: string, lines: LineCounter, errors: ManifestProblem[]) {
  try {
    const documents = parseAllDocuments(text, { lineCounter: lines, merge: true });
    return Array.isArray(documents) ? documents : [];
  } catch (cause) {
    const message = `cannot be read as YAML or JSON: ${causeText(cause)}`;
    errors.push({ code: "PC_YAML", message, remedy: "nest less deeply", source, line: 1, column: 1 });
    return [];
  }
}

function syntaxProblem(source: string, error: Document["errors"][number]): ManifestProblem {
  const { line, col: column } = error.linePos?.[0] ?? { line: 1, col: 1 };
  // The reader appends the place and a picture of it; the first line is the message.
  const message = (error.message.split("\n")[0] ?? error.message).replace(/ at line \d+, column \d+:?$/, "");
  return { code: "PC_YAML", message, remedy: "correct the YAML", source, line, column };
}

function sortDocument(document: Document, place: DocumentSource, parsed: ParsedManifests): void {
  let object: unknown;
  try {
    object = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    const remedy = "write the values out instead of using aliases";
    parsed.errors.push(place.problem("PC_YAML", `cannot be read: ${causeText(cause)}`, remedy));
    return;
  }
  if (object !== null && object !== undefined) sortObject(object, place, parsed);
}

function sortObject(object: unknown, place: DocumentSource, parsed: ParsedManifests): void {
  if (typeof object !== "object" || object === null || Array.isArray(object)) {
    const remedy = `write an object with apiVersion, kind: ${KIND}, metadata and spec`;
    parsed.errors.push(place.problem("PC_NOT_AN_OBJECT", "the document is not an object", remedy));
    return;
  }
  const { kind, apiVersion, items } = object as { kind?: unknown; apiVersion?: unknown; items?: unknown };
  if ((kind === "List" || kind === `${KIND}List`) && Array.isArray(items)) {
    for (const [index, item] of items.entries()) sortObject(item, place.below("items", index), parsed);
    return;
  }
  if (isOtherKind(kind, apiVersion)) {
    const message = `skipped: a ${String(kind)} is not a ${KIND}`;
    parsed.notes.push(place.problem("PC_OTHER_KIND", message, "nothing to do"));
    const pod = podTemplateOf(object, (...words) => place.problem(...words));
    if (pod !== null) parsed.pods.push(pod);
    return;
  }
  parsed.manifests.push({ object, source: place });
}

/** Another kind by its name; what names none, or our group with another kind, is a profile gone wrong. */
function isOtherKind(kind: unknown, apiVersion: unknown): boolean {
  if (typeof kind !== "string" || kind === KIND) return false;
  return typeof apiVersion === "string" && !apiVersion.startsWith(`${API_GROUP}/`);
}
