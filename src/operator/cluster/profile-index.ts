/** Profiles as planned with, and which of them select a pod. */
import type { LabelSelector } from "../../api/types.ts";
import { splitKey } from "../../kube/resources.ts";
import { matchesSelector } from "../../policy/table/selection.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";

/** What a change of a profile means to others. */
export interface ProfileChange {
  before: StoredProfile | null;
  after: StoredProfile | null;
  /** Other pods may be selected. */
  selectorChanged: boolean;
  /** What selected pods may do may have changed. */
  contentChanged: boolean;
}

type Workload = { namespace: string; labels: Record<string, string> };

export class ProfileIndex {
  readonly #profiles = new Map<string, StoredProfile>();
  /** Profiles by namespace and one label that their pods must have; `""` for those that demand no certain one. */
  readonly #index = new Map<string, Map<string, Set<StoredProfile>>>();
  readonly #doubtful = new Map<string, Set<StoredProfile>>();
  readonly #sizes = new Map<string, number>();

  get size(): number {
    return this.#profiles.size;
  }

  /** How many there are of each namespace that has any. */
  get sizes(): ReadonlyMap<string, number> {
    return this.#sizes;
  }

  get(key: string): StoredProfile | undefined {
    return this.#profiles.get(key);
  }

  all(): Iterable<StoredProfile> {
    return this.#profiles.values();
  }

  /** Takes a profile as it is now, or (null) that it is gone. */
  set(key: string, after: StoredProfile | null): ProfileChange {
    const before = this.#profiles.get(key) ?? null;
    if (before !== null) this.#unindex(before);
    if (after === null) this.#profiles.delete(key);
    else {
      this.#profiles.set(key, after);
      this.#enter(after);
    }
    this.#count(splitKey(key).namespace, Number(after !== null) - Number(before !== null));
    return {
      before,
      after,
      selectorChanged: selectorText(before) !== selectorText(after),
      contentChanged: before?.uid !== after?.uid || before?.accepted?.digest !== after?.accepted?.digest,
    };
  }

  /** Keys of the profiles that select such a workload, sorted. */
  selecting(workload: Workload): string[] {
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
  isInDoubt({ namespace, labels }: Workload): boolean {
    for (const { meant } of this.#doubtful.get(namespace) ?? []) {
      if (meant === null || (meant !== "nothing" && matchesSelector(meant, labels))) return true;
    }
    return false;
  }

  #count(namespace: string, more: number): void {
    const size = (this.#sizes.get(namespace) ?? 0) + more;
    if (size === 0) this.#sizes.delete(namespace);
    else this.#sizes.set(namespace, size);
  }

  #enter(profile: StoredProfile): void {
    const { namespace } = profile;
    if (isDoubtful(profile)) {
      const doubtful = this.#doubtful.get(namespace) ?? new Set<StoredProfile>();
      doubtful.add(profile);
      this.#doubtful.set(namespace, doubtful);
    }
    const selector = profile.accepted?.selector ?? null;
    if (selector === null) return;
    const index = this.#index.get(namespace) ?? new Map<string, Set<StoredProfile>>();
    this.#index.set(namespace, index);
    const term = firstTerm(selector);
    const profiles = index.get(term) ?? new Set<StoredProfile>();
    profiles.add(profile);
    index.set(term, profiles);
  }

  #unindex(profile: StoredProfile): void {
    const { namespace } = profile;
    const doubtful = this.#doubtful.get(namespace);
    if (doubtful?.delete(profile) && doubtful.size === 0) this.#doubtful.delete(namespace);
    const index = this.#index.get(namespace);
    const selector = profile.accepted?.selector ?? null;
    if (index === undefined || selector === null) return;
    const term = firstTerm(selector);
    const profiles = index.get(term);
    profiles?.delete(profile);
    if (profiles?.size === 0) index.delete(term);
    if (index.size === 0) this.#index.delete(namespace);
  }
}

/** Whether a profile selects a workload, by the last valid revision. */
export function selectsWorkload({ namespace, accepted }: StoredProfile, workload: Workload): boolean {
  const selector = accepted?.selector ?? null;
  return selector !== null && namespace === workload.namespace && matchesSelector(selector, workload.labels);
}

/** No generation of it is known to be valid, but an earlier one may have been in force. */
function isDoubtful({ accepted, generation }: StoredProfile): boolean {
  return accepted === null && generation > 1;
}

function firstTerm({ matchLabels = {} }: LabelSelector): string {
  const [first] = Object.entries(matchLabels);
  return first === undefined ? "" : `${first[0]}=${first[1]}`;
}

function selectorText(profile: StoredProfile | null): string {
  if (profile === null) return "";
  return JSON.stringify(isDoubtful(profile) ? [profile.meant] : (profile.accepted?.selector ?? null));
}
