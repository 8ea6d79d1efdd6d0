/** A document against the schema of policy tests: what is wrong, in words, and in which case and field. */
import { Ajv, type ErrorObject } from "ajv";
import type { FieldPath } from "../../api/fields.ts";
import { nearest } from "../../api/validation/nearest.ts";
import { parseIp } from "../../policy/table/addresses.ts";
import { POLICY_TEST_SCHEMA, type PolicyTest } from "./format.ts";

/** Something wrong with a field. */
export interface Fault {
  path: FieldPath;
  message: string;
}

// `verbose` gives each error the schema that it broke.
const ajv = new Ajv({ allErrors: true, strict: true, verbose: true });
ajv.addFormat("address", (text: string) => parseIp(text) !== null);
const validate = ajv.compile<PolicyTest>(POLICY_TEST_SCHEMA);

/** @returns the test, or what is wrong with it */
export function checkFormat(object: unknown): PolicyTest | Fault[] {
  if (validate(object)) return object;
  // A bad key is reported twice: what is wrong with it, and that it is bad.
  return (validate.errors ?? []).filter(({ keyword }) => keyword !== "propertyNames").map(faultOf);
}

function faultOf(error: ErrorObject): Fault {
  const path = pathOf(error.instancePath);
  const { params } = error;
  switch (error.keyword) {
    case "additionalProperties": {
      const field = String(params.additionalProperty);
      const known = Object.keys((error.parentSchema?.properties ?? {}) as object);
      const close = nearest(field, known);
      const hint = close === null ? `the fields here are ${known.join(", ")}` : `did you mean ${close}?`;
      return { path: [...path, field], message: `is not a field; ${hint}` };
    }
    case "required":
      return { path: [...path, String(params.missingProperty)], message: "is missing; add it" };
    case "enum":
      return { path, message: `${shown(error.data)} is not one of ${(params.allowedValues as unknown[]).join(", ")}` };
    case "const":
      return { path, message: `${shown(error.data)} is not ${String(params.allowedValue)}` };
    case "type":
      return { path, message: `is ${shown(error.data)}; write ${TYPE_WORDS[String(params.type)] ?? params.type}` };
    case "pattern":
      if (error.propertyName !== undefined) return { path: [...path, error.propertyName], message: KEY_WORDS };
      return { path, message: `${shown(error.data)} is not an absolute path` };
    case "format":
      return { path, message: `${shown(error.data)} is not an address` };
    default:
      return { path, message: "is empty; list something, or leave it out" };
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: "fields",
  array: "a list",
  string: "text",
  boolean: "true or false",
};
const KEY_WORDS =
  "is no good key: pods have names of lower-case letters, digits and dashes, services namespace/name, links absolute paths";

function shown(value: unknown): string {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "a list" : "an object";
  return typeof value === "string" ? `"${value}"` : String(value);
}

/** A JSON pointer; numbers are the indexes of lists, which alone have them here. */
function pathOf(pointer: string): (string | number)[] {
  return pointer
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((key) => (/^\d+$/.test(key) ? Number(key) : key));
}
