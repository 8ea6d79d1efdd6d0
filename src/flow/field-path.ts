/** Fields of records, as they are written: `time`, `workload.name`. */
import { UsageError } from "../api/errors.ts";
import type { FieldPath } from "./field-mask.ts";
import { EVENT_SCHEMA } from "./schema.ts";

/** A field that no record has. Code PC_RECORD_FIELD. */
export class FieldError extends UsageError {
  constructor(field: string, known: readonly string[]) {
    super(`records have no field ${JSON.stringify(field)}: there are ${known.join(", ")}`, {}, "PC_RECORD_FIELD");
  }
}

/** A part of a JSON schema, as far as fields are found in it. */
interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  additionalProperties?: boolean | SchemaNode;
  oneOf?: SchemaNode[];
  anyOf?: SchemaNode[];
}

/** Where a field is. @throws FieldError for one that no record has */
export function fieldPath(field: string): FieldPath {
  const path: string[] = [];
  let nodes: SchemaNode[] = [EVENT_SCHEMA as SchemaNode];
  let rest: string | null = field;
  while (rest !== null) {
    const known = alternatives(nodes);
    // Labels have names of their own, with dots in them.
    const isOpen = known.some(({ additionalProperties }) => typeof additionalProperties === "object");
    const dot: number = isOpen ? -1 : rest.indexOf(".");
    const part: string = dot < 0 ? rest : rest.slice(0, dot);
    const below = known.flatMap(({ properties }) => properties?.[part] ?? []);
    if (below.length === 0 && !isOpen) throw new FieldError(field, [...namesOf(known)]);
    path.push(part);
    nodes = below;
    rest = dot < 0 ? null : rest.slice(dot + 1);
  }
  return path;
}

function alternatives(nodes: readonly SchemaNode[]): SchemaNode[] {
  return nodes.flatMap((node) => [node, ...alternatives([...(node.oneOf ?? []), ...(node.anyOf ?? [])])]);
}

function namesOf(nodes: readonly SchemaNode[]): Set<string> {
  return new Set(nodes.flatMap(({ properties }) => Object.keys(properties ?? {})));
}
