/** What a field of a message may hold. A check throws what is wrong with the value, naming the field. */
import { PortcullisError } from "../api/errors.ts";

/** A message that no well-meaning sender of any version sends. Code PC_BAD_MESSAGE; the message names the field. */
export class BadMessageError extends PortcullisError {
  constructor(field: string, problem: string) {
    super("PC_BAD_MESSAGE", `${field} ${problem}`);
  }
}

/** Largest values of protobuf's unsigned fields. */
export const UINT32_MAX = 2 ** 32 - 1;
export const UINT64_MAX = 2n ** 64n - 1n;

/** @throws BadMessageError */
export type Check = (value: unknown, field: string) => void;

/** A check for each field of a message: one that is added to the protocol is added here, or does not compile. */
export type FieldChecks<Message> = { readonly [Field in Exclude<keyof Message, "$typeName" | "$unknown">]: Check };

/** The kinds of messages that one of these may be. */
export type Kind<Content extends { case?: string | undefined }> = NonNullable<Content["case"]>;

/** Text of so many characters at most. */
export function text(max: number, pattern?: RegExp): Check {
  return (value, field) => {
    if (typeof value !== "string") throw new BadMessageError(field, "is no text");
    if (value.length > max) throw new BadMessageError(field, `has ${value.length} characters, and may have ${max}`);
    if (pattern !== undefined && !pattern.test(value))
      throw new BadMessageError(field, `is not of the form ${pattern}`);
  };
}

/** A whole number, number or bigint, both bounds included. */
export function whole(min: number | bigint, max: number | bigint): Check {
  return (value, field) => {
    if (typeof value !== "bigint" && !Number.isInteger(value)) throw new BadMessageError(field, "is no whole number");
    const number = value as number | bigint;
    if (number < min || number > max)
      throw new BadMessageError(field, `is ${number}, and may be from ${min} to ${max}`);
  };
}

export function oneOf(values: readonly (string | number)[]): Check {
  const known = new Set<unknown>(values);
  return (value, field) => {
    if (!known.has(value)) throw new BadMessageError(field, `is none of ${values.join(", ")}`);
  };
}

export const flag: Check = (value, field) => {
  if (typeof value !== "boolean") throw new BadMessageError(field, "is neither true nor false");
};

/** So many bytes at most. */
export function bytes(max: number): Check {
  return (value, field) => {
    if (!(value instanceof Uint8Array)) throw new BadMessageError(field, "is no bytes");
    if (value.length > max) throw new BadMessageError(field, `has ${value.length} bytes, and may have ${max}`);
  };
}

/** So many items at most, each of which passes. */
export function list(max: number, item: Check): Check {
  return (value, field) => {
    if (!Array.isArray(value)) throw new BadMessageError(field, "is no list");
    if (value.length > max) throw new BadMessageError(field, `has ${value.length} items, and may have ${max}`);
    for (let index = 0; index < value.length; index += 1) item(value[index], `${field}[${index}]`);
  };
}

/** A map with so many entries at most. */
export function entries(max: number, key: Check, value: Check): Check {
  return (map, field) => {
    const all = Object.entries(map as object);
    if (all.length > max) throw new BadMessageError(field, `has ${all.length} entries, and may have ${max}`);
    for (const [name, item] of all) {
      key(name, `${field}: a key`);
      value(item, `${field}.${name}`);
    }
  };
}

/** What may be left out. */
export function optional(check: Check): Check {
  return (value, field) => {
    if (value !== undefined) check(value, field);
  };
}

/** A message within a message, field by field. */
export function message<Message>(checks: FieldChecks<Message>): Check {
  const fields = Object.entries(checks) as [keyof object, Check][];
  return (value, field) => {
    if (typeof value !== "object" || value === null) throw new BadMessageError(field, "is no message");
    for (const [name, check] of fields) check(value[name], `${field}.${name}`);
  };
}
