/** Reading policy test files, and the profiles that they name. */
import { dirname, isAbsolute, join } from "node:path";
import { type Document, LineCounter, parseAllDocuments } from "yaml";
import { DocumentSource } from "../../api/document/document-source.ts";
import { causeText, UsageError } from "../../api/errors.ts";
import { fieldText } from "../../api/fields.ts";
import type { SecurityProfile } from "../../api/types.ts";
import { requireManifestTexts, requireProfiles } from "../input/manifest-files.ts";
import { checkFormat, type Fault } from "./check-format.ts";
import { type PolicyTest, TEST_KIND } from "./format.ts";
import { type Asked, questionsOf } from "./questions.ts";

/** Nodes that aliases may stand for in one document, as in manifests. */
const MAX_ALIASES = 100;

/** One test of a file, ready to be judged. */
export interface ReadTest {
  file: string;
  test: PolicyTest;
  profiles: SecurityProfile[];
  /** What each of its cases asks. */
  asked: Asked[];
  /** The line of each case. */
  lines: number[];
}

/**
 * All policy tests of the files and folders. Documents of other kinds are skipped.
 * @throws UsageError with all that is wrong, in all of them; where there is no test; where its profiles cannot be used
 */
export function readTests(paths: readonly string[]): ReadTest[] {
  const faults: string[] = [];
  const tests = paths.flatMap(requireManifestTexts).flatMap(({ source, text }) => readText(source, text, faults));
  if (faults.length > 0) throw new UsageError(`the test cannot be used:\n${faults.join("\n")}`);
  if (tests.length === 0) throw new UsageError(`there is no document of kind ${TEST_KIND} in ${paths.join(", ")}`);
  return tests;
}

function readText(file: string, text: string, faults: string[]): ReadTest[] {
  const lines = new LineCounter();
  return parseDocuments(file, text, lines, faults).flatMap((document) => {
    const object = objectOf(file, document, faults);
    if (!isPolicyTest(object)) return [];
    const place = new DocumentSource(file, lines, document);
    const found = readObject(file, object, place);
    if (!Array.isArray(found)) return [found];
    faults.push(...found.map((fault) => faultText(file, fault, object, place)));
    return [];
  });
}

/** The reader recurses; a text nested beyond its stack is refused like any other bad text. */
function parseDocuments(file: string, text: string, lineCounter: LineCounter, faults: string[]): Document[] {
  try {
    const documents = parseAllDocuments(text, { lineCounter, merge: true });
    return Array.isArray(documents) ? documents : [];
  } catch (cause) {
    faults.push(`${file}: cannot be read as YAML: ${causeText(cause)}`);
    return [];
  }
}

/** Null where it cannot be read. */
function objectOf(file: string, document: Document, faults: string[]): unknown {
  const [error] = document.errors;
  if (error !== undefined) {
    const { line, col } = error.linePos?.[0] ?? { line: 1, col: 1 };
    faults.push(`${file}:${line}:${col}: ${error.message.split("\n")[0]}`);
    return null;
  }
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (cause) {
    faults.push(`${file}: cannot be read: ${causeText(cause)}; write values out instead of using aliases`);
    return null;
  }
}

function isPolicyTest(object: unknown): boolean {
  return typeof object === "object" && object !== null && "kind" in object && object.kind === TEST_KIND;
}

function readObject(file: string, object: unknown, place: DocumentSource): ReadTest | Fault[] {
  const test = checkFormat(object);
  if (Array.isArray(test)) return test;
  const asked = test.cases.map((_, index) => questionsOf(test, index));
  const faults = [...wrongReferences(test), ...asked.flatMap((found) => (Array.isArray(found) ? found : []))];
  if (faults.length > 0) return faults;
  return {
    file,
    test,
    profiles: profilesOf(file, test),
    asked: asked as Asked[],
    lines: test.cases.map((_, index) => place.locate(["cases", index])?.line ?? 1),
  };
}

function wrongReferences({ pods, services = {}, names = {} }: PolicyTest): Fault[] {
  const behind = Object.entries(services).flatMap(([service, { pods: listed = [] }]) =>
    listed
      .map((pod, index) => ({ pod, path: ["services", service, "pods", index] }))
      .filter(({ pod }) => !Object.hasOwn(pods, pod))
      .map(({ pod, path }) => ({ path, message: `"${pod}" is none of pods` })),
  );
  const both = Object.keys(names)
    .filter((name) => Object.hasOwn(pods, name))
    .map((name) => ({ path: ["names", name], message: "is a pod's name, too; rename the pod in this test" }));
  return [...behind, ...both];
}

/** @throws UsageError */
function profilesOf(file: string, { profiles }: PolicyTest): SecurityProfile[] {
  const paths = profiles.map((path) => (isAbsolute(path) || file === "-" ? path : join(dirname(file), path)));
  try {
    return requireProfiles(paths);
  } catch (cause) {
    throw cause instanceof UsageError ? new UsageError(`${file}: profiles: ${causeText(cause)}`, { cause }) : cause;
  }
}

/** `file:line:column: case "name": field: message`. */
function faultText(file: string, { path, message }: Fault, object: unknown, place: DocumentSource): string {
  const { line, column } = place.locate(path) ?? { line: 1, column: 1 };
  const where = `${file}:${line}:${column}`;
  const [first, index, ...field] = path;
  if (first !== "cases" || typeof index !== "number") return `${where}: ${fieldText(path)}: ${message}`;
  return `${where}: case ${caseName(object, index)}: ${fieldText(field) || "the case"}: ${message}`;
}

function caseName(object: unknown, index: number): string {
  const { cases } = object as { cases?: unknown };
  const name: unknown = Array.isArray(cases) ? (cases as { name?: unknown }[])[index]?.name : undefined;
  return typeof name === "string" ? `"${name}"` : String(index + 1);
}
