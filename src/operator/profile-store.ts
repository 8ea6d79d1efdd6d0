/** Profiles as validated, and which of them select a pod. */
import { type FieldError, fieldErrorText } from "../api/fields.ts";
import type { LabelSelector, SecurityProfile } from "../api/types.ts";
import { validateProfile } from "../api/validate.ts";
import { effectiveSelector, selects } from "../policy/selection.ts";
import type { ProfileRecord } from "./profile-record.ts";

/** A profile as the operator sees it. */
export interface StoredProfile {
  key: string;
  namespace: string;
  name: string;
  uid: string;
  generation: number;
  /** The last valid revision, normalised; null if none is known. */
  accepted: SecurityProfile | null;
  /** The selector of `accepted` in force; null where it has no usable label, or there is none. */
  selector: LabelSelector | null;
  /** Generation of `accepted`. */
  acceptedGeneration: number;
  /** What is wrong with this generation. */
  errors: FieldError[];
  warnings: FieldError[];
  /** When this generation was first seen, in milliseconds since 1970. */
  seenAt: number;
  record: ProfileRecord;
}

/** What a change of a profile means to others. */
export interface ProfileChange {
  before: StoredProfile | null;
  after: StoredProfile | null;
  /** Other pods may be selected. */
  selectorChanged: boolean;
  /** What selected pods may do may have changed. */
  contentChanged: boolean;
}

export class ProfileStore {
  readonly #profiles = new Map<string, StoredProfile>();
  /** Profiles by namespace and one label that their pods must have; `""` for those that demand no certain one. */
  readonly #index = new Map<string, Map<string, Set<StoredProfile>>>();
  readonly #doubtful = new Set<StoredProfile>();

  get size(): number {
    return this.#profiles.size;
  }

  get(key: string): StoredProfile | undefined {
    return this.#profiles.get(key);
  }

  all(): Iterable<StoredProfile> {
    return this.#profiles.values();
  }

  /** Takes a profile as it is now, or (null) that it is gone. */
  set(key: string, record: ProfileRecord | null): ProfileChange {
    const before = this.#profiles.get(key) ?? null;
    if (before !== null) this.#unindex(before);
    const after = record === null ? null : stored(key, record, before);
    if (after === null) this.#profiles.delete(key);
    else {
      this.#profiles.set(key, after);
      this.#enter(after);
    }
    return {
      before,
      after,
      selectorChanged: selectorText(before) !== selectorText(after),
      contentChanged: contentText(before) !== contentText(after),
    };
  }

  /** Keys of the profiles that select such a workload, sorted. */
  selecting(workload: { namespace: string; labels: Record<string, string> }): string[] {
    const index = this.#index.get(workload.namespace);
    if (index === undefined) return [];
    const terms = ["", ...Object.entries(workload.labels).map(([key, value]) => `${key}=${value}`)];
    const candidates = terms.flatMap((term) => [...(index.get(term) ?? [])]);
    return candidates
      .filter((profile) => selectsWorkload(profile, workload))
      .map(({ key }) => key)
      .sort();
  }

  /**
   * Whether some profile that may select the workload has no valid revision that is known, although it may have had one before the
   * operator started: what is in force for the workload must not be replaced then.
   */
  isInDoubt(workload: { namespace: string; labels: Record<string, string> }): boolean {
    for (const profile of this.#doubtful) {
      if (profile.namespace === workload.namespace && maySelect(profile, workload.labels)) return true;
    }
    return false;
  }

  #enter(profile: StoredProfile): void {
    if (profile.accepted === null && profile.generation > 1) this.#doubtful.add(profile);
    const { selector } = profile;
    if (selector === null) return;
    const index = this.#index.get(profile.namespace) ?? new Map<string, Set<StoredProfile>>();
    this.#index.set(profile.namespace, index);
    const term = firstTerm(selector);
    const profiles = index.get(term) ?? new Set<StoredProfile>();
    profiles.add(profile);
    index.set(term, profiles);
  }

  #unindex(profile: StoredProfile): void {
    this.#doubtful.delete(profile);
    const index = this.#index.get(profile.namespace);
    const { selector } = profile;
    if (index === undefined || selector === null) return;
    const term = firstTerm(selector);
    const profiles = index.get(term);
    profiles?.delete(profile);
    if (profiles?.size === 0) index.delete(term);
    if (index.size === 0) this.#index.delete(profile.namespace);
  }
}

/** Whether a profile selects a workload, by the last valid revision. */
export function selectsWorkload(
  profile: StoredProfile,
  workload: { namespace: string; labels: Record<string, string> },
): boolean {
  return profile.accepted !== null && selects(profile.accepted, workload).selected;
}

/** By a revision that is not valid: where its selector is not either, every pod of the namespace may be meant. */
function maySelect({ record, namespace, errors }: StoredProfile, labels: Record<string, string>): boolean {
  const isUnclear = errors.some(({ field }) => /^(spec$|spec\.labelSelector|metadata\.labels)/.test(field));
  return isUnclear || selects(record.manifest as SecurityProfile, { namespace, labels }).selected;
}

/** Errors in one line each. */
export function errorTexts(errors: readonly FieldError[]): string[] {
  return errors.map(fieldErrorText);
}

function stored(key: string, record: ProfileRecord, before: StoredProfile | null): StoredProfile {
  const { namespace, name, uid, generation } = record;
  const { profile, errors, warnings } = validateProfile(record.manifest);
  // Another object of the same name is not a revision of it.
  const same = before !== null && before.uid === uid ? before : null;
  const accepted = profile ?? same?.accepted ?? null;
  return {
    key,
    namespace,
    name,
    uid,
    generation,
    accepted,
    selector: accepted === null ? null : effectiveSelector(accepted),
    acceptedGeneration: profile === null ? (same?.acceptedGeneration ?? 0) : generation,
    errors,
    warnings,
    seenAt: same?.generation === generation ? same.seenAt : Date.now(),
    record,
  };
}

function firstTerm({ matchLabels = {} }: LabelSelector): string {
  const [first] = Object.entries(matchLabels);
  return first === undefined ? "" : `${first[0]}=${first[1]}`;
}

function selectorText(profile: StoredProfile | null): string {
  if (profile === null) return "";
  const isDoubtful = profile.accepted === null && profile.generation > 1;
  return JSON.stringify(isDoubtful ? [profile.record.manifest] : profile.selector);
}

/** What is compiled of it. */
function contentText(profile: StoredProfile | null): string {
  return profile === null ? "" : JSON.stringify([profile.uid, profile.accepted?.spec ?? null]);
}
