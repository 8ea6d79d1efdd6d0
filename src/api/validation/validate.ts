/**
 * The one validator: the operator, the agent and `portcullis validate` accept and refuse the same profiles, with the
 * same words. It checks structure and single values (structure.ts), rules across fields (validate-rules.ts), and
 * warns of what is valid but hardly meant (warnings.ts).
 */
import { type FieldError, fieldError, type ManifestSource } from "../fields.ts";
import { normalizeProfile } from "../normalize.ts";
import type { SecurityProfile } from "../types.ts";
import type { WrittenProfile } from "../written-profile.ts";
import { checkStructure, type Located } from "./structure.ts";
import { brokenRules } from "./validate-rules.ts";
import { profileWarnings } from "./warnings.ts";

export interface ValidationResult {
  /** Normalised (see normalize.ts); null where there are errors. */
  profile: SecurityProfile | null;
  /** Why the profile cannot be taken. */
  errors: FieldError[];
  /** What it says and its author may not have meant. */
  warnings: FieldError[];
}

/**
 * Validates one object as a SecurityProfile. Never throws for bad input.
 *
 * @param object what a YAML or JSON parser, or the API server, made of a manifest
 * @param source where it was read from, so that findings can say line and column
 */
export function validateProfile(object: unknown, source?: ManifestSource): ValidationResult {
  const toErrors = (located: readonly Located[]): FieldError[] =>
    located.map(({ path, finding }) => fieldError(path, finding, source)).sort(byPlace);
  const { profile, errors, warnings } = findingsOf(object);
  return { profile, errors: toErrors(errors), warnings: toErrors(warnings) };
}

/** From the top of the file to its end; what has no place stays where it is. */
function byPlace(one: FieldError, other: FieldError): number {
  return (one.line ?? 0) - (other.line ?? 0) || (one.column ?? 0) - (other.column ?? 0);
}

/** As `validateProfile`, with each finding as it was found. */
export function findingsOf(
  object: unknown,
): Pick<ValidationResult, "profile"> & Record<"errors" | "warnings", Located[]> {
  const structure = checkStructure(object);
  const errors = [...structure.located, ...(structure.typed ? brokenRules(object as WrittenProfile) : [])];
  if (errors.length > 0) return { profile: null, errors, warnings: [] };
  const { profile, warnings } = normalizeProfile(object as WrittenProfile);
  return { profile, errors: [], warnings: [...warnings, ...profileWarnings(profile)] };
}
