/** All profiles of some texts, as one state: what an agent puts in force, or `validate` reports on. No I/O. */

import type { ManifestProblem } from "./document/document-source.ts";
import { type FieldError, type Finding, fieldError } from "./fields.ts";
import { type Manifest, parseManifests } from "./manifest.ts";
import type { PodTemplate } from "./pods/pod-templates.ts";
import type { SecurityProfile } from "./types.ts";
import { validateProfile } from "./validation/validate.ts";

/** A manifest's text and the name of the file that it is from. */
export interface ManifestText {
  source: string;
  text: string;
}

/** What one manifest came to. */
export interface ProfileReport {
  /** Name of the file. */
  source: string;
  /** `namespace/name`, as far as it is known. */
  name: string;
  /** Normalised; null where there are errors. */
  profile: SecurityProfile | null;
  errors: FieldError[];
  warnings: FieldError[];
}

export interface ProfileSet {
  reports: ProfileReport[];
  /** Texts and documents that cannot be read. */
  errors: ManifestProblem[];
  /** Documents that were skipped. */
  notes: ManifestProblem[];
  /** Pods among the documents of other kinds, and what makes pods. */
  pods: PodTemplate[];
}

/** Reads and validates all of them. A profile that is there twice is an error of the second one. */
export function readProfileSet(texts: readonly ManifestText[]): ProfileSet {
  const set: ProfileSet = { reports: [], errors: [], notes: [], pods: [] };
  const seen = new Map<string, string>();
  for (const { source, text } of texts) {
    const parsed = parseManifests(text, source);
    set.errors.push(...parsed.errors);
    set.notes.push(...parsed.notes);
    set.pods.push(...parsed.pods);
    set.reports.push(...parsed.manifests.map((manifest) => reportOf(manifest, seen)));
  }
  return set;
}

/** The profiles without errors. */
export function validProfiles(set: ProfileSet): SecurityProfile[] {
  return set.reports.flatMap(({ profile }) => (profile ? [profile] : []));
}

/** Whether nothing of the set was refused. */
export function isValidSet(set: ProfileSet): boolean {
  return set.errors.length === 0 && set.reports.every(({ errors }) => errors.length === 0);
}

function reportOf({ object, source }: Manifest, seen: Map<string, string>): ProfileReport {
  const { profile, errors, warnings } = validateProfile(object, source);
  const name = profile ? `${profile.metadata.namespace}/${profile.metadata.name}` : writtenName(object);
  if (profile === null) return { source: source.name, name, profile, errors, warnings };
  const first = seen.get(name);
  if (first === undefined) {
    seen.set(name, source.name);
    return { source: source.name, name, profile, errors, warnings };
  }
  const finding: Finding = {
    code: "PC_PROFILE_DUPLICATE",
    message: `the profile ${name} is already in ${first}`,
    remedy: "rename one of them, or take it away",
  };
  const duplicate = fieldError(["metadata", "name"], finding, source);
  return { source: source.name, name, profile: null, errors: [duplicate], warnings };
}

/** The name of something that is not valid, for a heading. */
function writtenName(object: unknown): string {
  const { metadata } = object as { metadata?: { name?: unknown; namespace?: unknown } | null };
  const name = typeof metadata?.name === "string" ? metadata.name : "(without name)";
  const namespace = typeof metadata?.namespace === "string" ? metadata.namespace : "default";
  return `${namespace}/${name}`;
}
