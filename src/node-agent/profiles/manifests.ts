/** Files of manifests -> a revision: all of their profiles, or what is wrong with them. */
import { createHash } from "node:crypto";
import { lstatSync } from "node:fs";
import type { ManifestProblem } from "../../api/document/document-source.ts";
import { UnreadableError } from "../../api/errors.ts";
import type { FieldError } from "../../api/fields.ts";
import { type ManifestText, type ProfileReport, readProfileSet, validProfiles } from "../../api/profile-set.ts";
import type { RevisionError } from "../../flow/record.ts";
import { readManifestFile } from "./manifest-file.ts";
import type { ProfileRevision } from "./source.ts";

/** What files of manifests hold. */
export interface ReadManifests {
  texts: ManifestText[];
  /** Those that cannot be read. */
  unread: UnreadableError[];
}

/** Reads and validates what a folder lists; see `readFiles`. */
export function readManifests(folder: string, paths: readonly string[]): ProfileRevision {
  const revision = revisionOf(readFiles(paths));
  const { profiles, errors, warnings } = revision;
  return profiles.length > 0 || errors.length > 0
    ? revision
    : { ...revision, warnings: [noProfiles(folder), ...warnings] };
}

/** Reads. A file that went away since it was listed is left out; `mustExist`: it was not listed but named, so it is missing. */
export function readFiles(paths: readonly string[], { mustExist = false } = {}): ReadManifests {
  const read: ReadManifests = { texts: [], unread: [] };
  for (const path of paths) {
    try {
      read.texts.push({ source: path, text: readManifestFile(path) });
    } catch (cause) {
      if (!(cause instanceof UnreadableError)) throw cause;
      // A link that leads nowhere is there.
      if (mustExist || lstatSync(path, { throwIfNoEntry: false }) !== undefined) read.unread.push(cause);
    }
  }
  return read;
}

/** All of the profiles; or what is wrong with them, and with what could not be read. */
export function revisionOf({ texts, unread }: ReadManifests): ProfileRevision {
  const set = readProfileSet(texts);
  const errors = [
    ...unread.map(({ path, message }) => ({ source: path, field: "", message })),
    ...set.errors.map(problemError),
    ...set.reports.flatMap((report) => fieldErrors(report, report.errors)),
  ];
  return {
    revision: contentHash(texts, unread),
    profiles: errors.length === 0 ? validProfiles(set) : [],
    errors,
    warnings: [
      ...set.notes.map(problemError),
      ...set.reports.flatMap((report) => fieldErrors(report, report.warnings)),
    ],
  };
}

/** Nothing is restricted by no profile, which is worth a word. */
function noProfiles(folder: string): RevisionError {
  const message = `there is no SecurityProfile in ${folder}: no workload is restricted. \`portcullis validate\` says what a file of profiles looks like`;
  return { source: folder, field: "", message };
}

function contentHash(texts: readonly ManifestText[], unread: readonly UnreadableError[]): string {
  const hash = createHash("sha256");
  for (const { source, text } of texts) hash.update(`${source}\0${text}\0`);
  for (const { path, message } of unread) hash.update(`${path}\0\0${message}\0`);
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
