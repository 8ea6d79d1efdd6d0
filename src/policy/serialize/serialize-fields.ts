/** Readers of JSON values that name the field which is not as it should be. */
import { TableFormatError } from "../table/errors.ts";
import type { BlockMask } from "../table/tables.ts";

/** Replaces bigints, which JSON does not know, by hex text; `mask` reads them. For `JSON.stringify`. */
export function hexMasks(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `0x${value.toString(16)}` : value;
}

/** @throws TableFormatError as all of these readers do */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TableFormatError(`rule table is not JSON: ${(error as Error).message}`);
  }
}

export function record(value: unknown, field: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(field, "an object");
  return value as Record<string, unknown>;
}

export function array(value: unknown, field: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(field, "a list");
  return value;
}

export function string(value: unknown, field: string): string {
  if (typeof value !== "string") throw wrong(field, "text");
  return value;
}

export function number(value: unknown, field: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) throw wrong(field, "a whole number");
  return value;
}

export function mask(value: unknown, field: string): BlockMask {
  if (typeof value !== "string" || !/^0x[0-9a-f]{1,16}$/.test(value)) throw wrong(field, "a hex mask of 64 bits");
  return BigInt(value);
}

export function oneOf<T extends string>(value: unknown, known: readonly T[], field: string): T {
  const found = known.find((item) => item === value);
  if (found === undefined) throw wrong(field, `one of ${known.join(", ")}`);
  return found;
}

export function wrong(field: string, expected: string): TableFormatError {
  return new TableFormatError(`rule table: ${field} is not ${expected}; compile the profiles again`);
}

export function damaged(field: string): TableFormatError {
  return new TableFormatError(
    `rule table: ${field} does not have the content that its hash stands for; compile the profiles again`,
  );
}
