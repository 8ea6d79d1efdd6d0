/** How findings about a profile are written down: which field, what is wrong with it, and what to do. */

import type { ErrorCode } from "./error-codes.ts";

/** Where a field stands: property names and list indexes from the root of the object. */
export type FieldPath = readonly (string | number)[];

/** What a check has found, before it is known where. */
export interface Finding {
  /** Stable, `PC_...`. */
  code: ErrorCode;
  /** What is wrong, without the name of the field. */
  message: string;
  /** What to write instead. */
  remedy: string;
  /** The one change that does so, where there is no other. */
  mend?: Mend;
}

/**
 * A change of the field: another name, another value, the value in quotes, the value in a list of its own, or the entry of this
 * index taken off the list that the field is, or is an entry of.
 */
export type Mend =
  | { rename: string }
  | { write: string | number }
  | { quote: true }
  | { list: true }
  | { remove: number };

/** A mend where there is one, to be spread into a finding. */
export function mended(mend: Mend | null): { mend?: Mend } {
  return mend === null ? {} : { mend };
}

/** A finding about one field of one object. */
export interface FieldError extends Finding {
  /** E.g. `spec.processes[0].network.egress.cidr4[1]`; empty for the object as a whole. */
  field: string;
  /** Position in the manifest, from 1, where it is known. */
  line?: number;
  column?: number;
}

export interface Position {
  line: number;
  column: number;
}

/** The text that an object was read from. */
export interface ManifestSource {
  /** Name of the file, `-` for standard input. */
  name: string;
  /** Where the field, or the nearest one around it that is there, begins; null where that is not known. */
  locate(path: FieldPath): Position | null;
}

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** `["spec", "processes", 0, "path"]` -> `spec.processes[0].path`; unusual keys are quoted: `labels["a/b"]`. */
export function fieldText(path: FieldPath): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (PLAIN_KEY.test(part)) text += text === "" ? part : `.${part}`;
    else text += `[${JSON.stringify(part)}]`;
  }
  return text;
}

/** Puts a finding to its field. */
export function fieldError(path: FieldPath, finding: Finding, source?: ManifestSource): FieldError {
  const { code, message, remedy } = finding;
  const error: FieldError = { field: fieldText(path), message, remedy, code };
  const position = source?.locate(path);
  if (position) Object.assign(error, position);
  return error;
}

/** One line: `spec.actions: ... . Remedy`. */
export function fieldErrorText(error: FieldError): string {
  const prefix = error.field === "" ? "" : `${error.field}: `;
  return `${prefix}${error.message}; ${error.remedy}`;
}
