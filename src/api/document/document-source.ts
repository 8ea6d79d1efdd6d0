/** Positions in a YAML document: where each of its fields stands in the text. No I/O. */
import { type Document, isMap, isSeq, type LineCounter, type Node } from "yaml";
import type { ErrorCode } from "../error-codes.ts";
import type { FieldPath, ManifestSource, Position } from "../fields.ts";

/** A document that cannot be read, or (in notes) one that is not for us. */
export interface ManifestProblem {
  code: ErrorCode;
  message: string;
  remedy: string;
  source: string;
  line: number;
  column: number;
}

/** Where the fields of a document, or of an object inside it, stand in the text. */
export class DocumentSource implements ManifestSource {
  readonly name: string;
  readonly #lines: LineCounter;
  readonly document: Document;
  /** Where the object begins in the document. */
  readonly base: FieldPath;

  constructor(name: string, lines: LineCounter, document: Document, base: FieldPath = []) {
    this.name = name;
    this.#lines = lines;
    this.document = document;
    this.base = base;
  }

  below(...path: FieldPath): DocumentSource {
    return new DocumentSource(this.name, this.#lines, this.document, [...this.base, ...path]);
  }

  locate(path: FieldPath): Position | null {
    const offset = deepestOffset(this.document.contents, [...this.base, ...path]);
    if (offset === null) return null;
    const { line, col } = this.#lines.linePos(offset);
    return { line, column: col };
  }

  problem(code: ErrorCode, message: string, remedy: string): ManifestProblem {
    const { line, column } = this.locate([]) ?? { line: 1, column: 1 };
    return { code, message, remedy, source: this.name, line, column };
  }
}

/** Where the key (or list entry) at the end of the path begins; of its nearest ancestor where it is not in the text. */
function deepestOffset(root: Node | null, path: FieldPath): number | null {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? null;
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(part));
      if (pair === undefined) return offset;
      offset = rangeStart(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(part)];
      if (node === undefined) return offset;
      offset = rangeStart(node) ?? offset;
    } else {
      return offset;
    }
  }
  return offset;
}

function keyText(key: unknown): string {
  return typeof key === "object" && key !== null && "value" in key ? String(key.value) : String(key);
}

function rangeStart(node: unknown): number | null {
  if (typeof node !== "object" || node === null || !("range" in node) || !Array.isArray(node.range)) return null;
  return typeof node.range[0] === "number" ? node.range[0] : null;
}
