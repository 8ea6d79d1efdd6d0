/** Files of manifests -> a revision: all of their profiles, or what is wrong with them. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { causeCode, UnreadableError } from "../../api/errors.ts";
import type { FieldError } from "../../api/fields.ts";
import type { ManifestProblem } from "../../api/manifest.ts";
import { type ManifestText, type ProfileReport, readProfileSet, validProfiles } from "../../api/profile-set.ts";
import type { RevisionError } from "../events/event.ts";
import type { ProfileRevision } from "./source.ts";

/** Reads and validates. A file that went away since it was listed is not part of the revision. @throws UnreadableError */
export function readManifests(paths: readonly string[]): ProfileRevision {
  const texts = paths.flatMap(readText);
  const set = readProfileSet(texts);
  const errors = [
    ...set.errors.map(problemError),
    ...set.reports.flatMap((report) => fieldErrors(report, report.errors)),
  ];
  return {
    revision: contentHash(texts),
    profiles: errors.length === 0 ? validProfiles(set) : [],
    errors,
    warnings: [
      ...set.notes.map(problemError),
      ...set.reports.flatMap((report) => fieldErrors(report, report.warnings)),
    ],
  };
}

function readText(path: string): ManifestText[] {
  try {
    return [{ source: path, text: readFileSync(path, "utf8") }];
  } catch (cause) {
    if (causeCode(cause) === "ENOENT") return [];
    throw new UnreadableError(path, cause);
  }
}

function contentHash(texts: readonly ManifestText[]): string {
  const hash = createHash("sha256");
  for (const { source, text } of texts) hash.update(`${source}\0${text}\0`);
  return hash.digest("hex");
}

function problemError({ source, line, message, remedy }: ManifestProblem): RevisionError {
  return { source: `${source}:${line}`, field: "", message: `${message}; ${remedy}` };
}

function fieldErrors(report: ProfileReport, errors: readonly FieldError[]): RevisionError[] {
  return errors.map(({ field, message, remedy, line }) => ({
    source: line === undefined ? report.source : `${report.source}:${line}`,
    field,
    message: `${message}; ${remedy}`,
  }));
}
