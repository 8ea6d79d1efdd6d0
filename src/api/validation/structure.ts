/** The structure of an object against the schema: types, fields, sizes and single values, with ajv. */
import { Ajv, type AnySchema, type ErrorObject, type FuncKeywordDefinition } from "ajv";
import type { FieldPath, Finding } from "../fields.ts";
import { SPEC_SCHEMA } from "../schema/schema.ts";
import type { SchemaNode } from "../schema/schema-node.ts";
import { API_VERSION, KIND } from "../types.ts";
import { CHECKS, type CheckName } from "./checks.ts";
import { describeError } from "./structure-words.ts";

/** A finding and where it is. */
export interface Located {
  path: FieldPath;
  finding: Finding;
}

export interface StructureResult {
  located: Located[];
  /** Whether every value has the type that the schema gives it, so that code may rely on the types. */
  typed: boolean;
}

/** Keywords of the schema that a check of ours takes the place of. */
const VALUE_KEYWORDS: ReadonlySet<string> = new Set(["pattern", "minLength", "maxLength", "minimum", "maximum"]);

const METADATA_SCHEMA: AnySchema = {
  type: "object",
  required: ["name"],
  properties: {
    name: { type: "string" },
    namespace: { type: "string" },
    labels: { type: "object", additionalProperties: { type: "string" } },
    annotations: { type: "object", additionalProperties: { type: "string" } },
    generation: { type: "integer" },
  },
};

/** The whole object. What the operator wrote into `status` is its own affair. */
const OBJECT_SCHEMA: AnySchema = {
  type: "object",
  required: ["apiVersion", "kind", "metadata", "spec"],
  additionalProperties: false,
  properties: {
    apiVersion: { type: "string", enum: [API_VERSION] },
    kind: { type: "string", enum: [KIND] },
    metadata: METADATA_SCHEMA,
    spec: ajvSchema(SPEC_SCHEMA),
    status: { type: "object" },
  },
};

/** The check's own finding, carried through ajv's error. */
export const FINDING_PARAMETER = "finding";

const checkKeyword: FuncKeywordDefinition = {
  keyword: "x-portcullis-check",
  schemaType: "string",
  errors: true,
  validate: function check(name: CheckName, value: unknown): boolean {
    if (typeof value !== "string" && !(typeof value === "number" && name === "l4Protocol")) return true;
    const finding = (CHECKS[name] as (value: unknown) => Finding | null)(value);
    if (finding === null) return true;
    Object.assign(check, {
      errors: [{ keyword: "x-portcullis-check", message: finding.message, params: { [FINDING_PARAMETER]: finding } }],
    });
    return false;
  },
};

const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
ajv.addKeyword(checkKeyword);
const validateObject = ajv.compile(OBJECT_SCHEMA);

/** Checks the object; no finding about a field repeats another one's. */
export function checkStructure(object: unknown): StructureResult {
  if (validateObject(object)) return { located: [], typed: true };
  const errors = validateObject.errors ?? [];
  const mistyped = new Set(errors.filter((error) => error.keyword === "type").map((error) => error.instancePath));
  const distinct = errors.filter((error) => error.keyword === "type" || !mistyped.has(error.instancePath));
  return {
    located: distinct.map((error) => locate(object, error)),
    typed: mistyped.size === 0 && !errors.some((error) => error.keyword === "required"),
  };
}

function locate(object: unknown, error: ErrorObject): Located {
  const path = pathOf(object, error.instancePath);
  const finding: Finding | undefined = error.params[FINDING_PARAMETER];
  if (finding !== undefined) return { path, finding };
  const { child, ...described } = describeError(object, path, error);
  return { path: child === null ? path : [...path, child], finding: described };
}

/** A JSON pointer, with the indexes of lists as numbers. */
function pathOf(object: unknown, pointer: string): (string | number)[] {
  const path: (string | number)[] = [];
  let value: unknown = object;
  for (const escaped of pointer.split("/").slice(1)) {
    const key = escaped.replaceAll("~1", "/").replaceAll("~0", "~");
    path.push(Array.isArray(value) ? Number(key) : key);
    value = (value as Record<string, unknown>)[key];
  }
  return path;
}

/**
 * The Kubernetes schema in ajv's terms: unknown fields are refused (the API server drops them), sets have no
 * repetitions, and checks take the place of patterns.
 */
export function ajvSchema(node: SchemaNode): Record<string, unknown> {
  const checked = node["x-portcullis-check"] !== undefined;
  const schema: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(node)) {
    if (key.startsWith("x-kubernetes-") || key === "description" || key === "format") continue;
    if (checked && VALUE_KEYWORDS.has(key)) continue;
    schema[key] = value;
  }
  if (node["x-kubernetes-int-or-string"]) schema.type = ["number", "string"];
  if (node["x-kubernetes-list-type"] === "set") schema.uniqueItems = true;
  if (node.items) schema.items = ajvSchema(node.items);
  if (node.additionalProperties) schema.additionalProperties = ajvSchema(node.additionalProperties);
  if (node.properties) {
    const entries = Object.entries(node.properties).map(([key, child]) => [key, ajvSchema(child)]);
    schema.properties = Object.fromEntries(entries);
    schema.additionalProperties = false;
  }
  return schema;
}
