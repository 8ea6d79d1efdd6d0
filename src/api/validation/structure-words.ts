/** What ajv found, in words that name the remedy. */
import type { ErrorObject } from "ajv";
import { type FieldPath, type Finding, type Mend, mended } from "../fields.ts";
import { SPEC_SCHEMA } from "../schema/schema.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { API_VERSION, KIND } from "../types.ts";
import { nearest, onlyNearest } from "./nearest.ts";

/** A finding about the value at a path, or about a child of it. */
export interface Described extends Finding {
  child: string | null;
}

/** Words for one of ajv's errors about the value at `path` of `object`. */
export function describeError(object: unknown, path: FieldPath, error: ErrorObject): Described {
  const value = valueAt(object, path);
  const { params } = error;
  switch (error.keyword) {
    case "type":
      return { child: null, ...describeType(value, params.type) };
    case "required":
      return { child: String(params.missingProperty), ...REQUIRED };
    case "additionalProperties":
      return {
        child: String(params.additionalProperty),
        ...describeUnknown(path, String(params.additionalProperty), value),
      };
    case "enum":
      return { child: null, ...describeEnum(path, String(value), params.allowedValues) };
    case "uniqueItems":
      return { child: null, ...describeRepetition(value, Number(params.i), Number(params.j)) };
    default:
      return { child: null, ...describeBound(value, error.keyword, Number(params.limit)) };
  }
}

const REQUIRED: Finding = { code: "PC_FIELD_MISSING", message: "is missing", remedy: "add it" };

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: "an object",
  array: "a list",
  string: "text",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
};

function describeType(value: unknown, type: string | string[]): Finding {
  const wanted = [type]
    .flat()
    .map((name) => TYPE_WORDS[name] ?? name)
    .join(" or ");
  const code = "PC_FIELD_TYPE";
  if (value === null) return { code, message: "is empty", remedy: `give it ${wanted}, or leave the field out` };
  const message = `is ${typeWord(value)}, not ${wanted}`;
  return { code, message, remedy: typeRemedy(value, type, wanted), ...mended(typeMend(value, type)) };
}

function typeMend(value: unknown, type: string | string[]): Mend | null {
  if (typeof value === "object") return null;
  if (type === "array") return { list: true };
  if (type === "string") return { quote: true };
  return type === "integer" && typeof value === "string" && /^(0|[1-9][0-9]{0,8})$/.test(value)
    ? { write: Number(value) }
    : null;
}

function typeRemedy(value: unknown, type: string | string[], wanted: string): string {
  if (type === "array" && typeof value !== "object") return `write [${String(value)}]`;
  if (type === "string" && typeof value !== "object") return `put it in quotes: "${String(value)}"`;
  if (type === "integer" && typeof value === "string" && /^[0-9]+$/.test(value)) return "write it without quotes";
  return `write ${wanted}`;
}

function typeWord(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return typeof value === "string" ? `the text ${JSON.stringify(value)}` : `${String(value)}`;
}

/** Fields that the paper's system had and nobody read. */
const FIELD_REMEDIES: Readonly<Record<string, string>> = {
  http: "rules on HTTP methods and paths are not implemented; take it away, and list http under l7.protocols",
};

function describeUnknown(path: FieldPath, field: string, parent: unknown): Finding {
  const known = fieldsAt(path);
  const message = `is not a field of ${path.length === 0 ? "a SecurityProfile" : lastName(path)}`;
  const meant = FIELD_REMEDIES[field] === undefined ? onlyNearest(field, known) : null;
  const isFree = meant !== null && !Object.hasOwn(parent as object, meant);
  return {
    code: "PC_FIELD_UNKNOWN",
    message,
    remedy: unknownRemedy(field, known),
    ...mended(isFree ? { rename: meant } : null),
  };
}

function unknownRemedy(field: string, known: readonly string[]): string {
  const special = FIELD_REMEDIES[field];
  if (special !== undefined) return special;
  const close = nearest(field, known);
  if (close !== null) return `did you mean ${close}?`;
  const elsewhere = PLACES.get(field);
  if (elsewhere !== undefined) return `it belongs to ${elsewhere.join(" or ")}`;
  return `the fields here are ${known.join(", ")}`;
}

function lastName(path: FieldPath): string {
  const name = path.findLast((part) => typeof part === "string") ?? "";
  return typeof path.at(-1) === "number" ? `an entry of ${name}` : name;
}

/** What other tools call it. */
const VALUE_SYNONYMS: Readonly<Record<string, string>> = {
  https: "tls",
  block: "enforce",
  drop: "enforce",
  audit: "alert",
};

const VALUE_REMEDIES: Readonly<Record<string, string>> = {
  https: 'write "tls", which is what is seen of HTTPS',
  ignore: "leave actions empty, so that violations are counted only",
  block: 'write "enforce"',
  drop: 'write "enforce"',
  audit: 'write "alert"',
  ip: 'write "ipv4" or "ipv6"',
};

function describeEnum(path: FieldPath, value: string, allowed: readonly string[]): Finding {
  const code = "PC_VALUE_UNKNOWN";
  const message = `"${value}" is not ${allowed.length === 1 ? allowed[0] : `one of ${allowed.join(", ")}`}`;
  const field = path.at(-1);
  const mend = mended(valueMend(value, allowed));
  if (field === "apiVersion") return { code, message, remedy: `write ${API_VERSION}`, mend: { write: API_VERSION } };
  if (field === "kind") return { code, message, remedy: `write ${KIND}`, ...mend };
  if (field === "protocol") {
    return { code, message, remedy: portProtocolRemedy(value, allowed), ...mend };
  }
  const special = VALUE_REMEDIES[value.toLowerCase()];
  const close = nearest(value, allowed);
  return { code, message, remedy: special ?? (close ? `write "${close}"` : "write one of them"), ...mend };
}

function valueMend(value: string, allowed: readonly string[]): Mend | null {
  const lower = value.toLowerCase();
  const synonym = VALUE_SYNONYMS[lower];
  if (synonym !== undefined) return allowed.includes(synonym) ? { write: synonym } : null;
  const meant = VALUE_REMEDIES[lower] === undefined ? onlyNearest(value, allowed) : null;
  return meant === null ? null : { write: meant };
}

function portProtocolRemedy(value: string, allowed: readonly string[]): string {
  const exact = allowed.find((name) => name === value.toLowerCase());
  if (exact !== undefined) return `write "${exact}"`;
  if (["http", "https", "tls", "grpc"].includes(value.toLowerCase())) {
    return 'write "tcp"; http and tls are recognised by their first bytes, under l7.protocols';
  }
  const close = nearest(value, allowed);
  return close === null ? "list protocols without ports under l4.protocols" : `write "${close}"`;
}

function describeRepetition(value: unknown, index: number, other: number): Finding {
  const entry = Array.isArray(value) ? JSON.stringify(value[index]) : "an entry";
  const mend = { remove: Math.max(index, other) };
  return { code: "PC_ENTRY_DUPLICATE", message: `${entry} is listed twice`, remedy: "take one away", mend };
}

function describeBound(value: unknown, keyword: string, limit: number): Finding {
  const code = "PC_VALUE_RANGE";
  const size = Array.isArray(value) ? value.length : 0;
  switch (keyword) {
    case "minItems":
      return { code, message: "lists nothing", remedy: "leave the field out, or list what is meant" };
    case "maxItems":
      return {
        code,
        message: `has ${size} entries, more than ${limit}`,
        remedy: "split the profile, or list wider entries",
      };
    case "minimum":
    case "maximum":
      return {
        code,
        message: `${String(value)} is ${keyword === "minimum" ? "less" : "more"} than ${limit}`,
        remedy: "write a number within bounds",
      };
    case "maxProperties":
      return { code, message: `has more than ${limit} fields`, remedy: "list fewer" };
    default:
      return { code, message: `does not satisfy ${keyword} ${limit}`, remedy: "see docs/profiles.md" };
  }
}

function valueAt(object: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], object);
}

const TOP_FIELDS = ["apiVersion", "kind", "metadata", "spec", "status"];

/** Names of the fields that an object at this path may have. */
function fieldsAt(path: FieldPath): string[] {
  if (path.length === 0) return TOP_FIELDS;
  let node: SchemaNode | undefined = SPEC_SCHEMA;
  for (const part of path.slice(1)) node = typeof part === "number" ? node?.items : node?.properties?.[part];
  return Object.keys(node?.properties ?? {});
}

/** Where a field's name belongs, for fields that stand at the wrong level. */
const PLACES: ReadonlyMap<string, string[]> = placesOf(SPEC_SCHEMA, "spec", new Map());

function placesOf(node: SchemaNode, at: string, places: Map<string, string[]>): Map<string, string[]> {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    const known = places.get(name);
    if (known === undefined) places.set(name, [at]);
    else if (known.length < 2) known.push(at);
    placesOf(child, `${at}.${name}`, places);
  }
  if (node.items) placesOf(node.items, `${at}[]`, places);
  return places;
}
