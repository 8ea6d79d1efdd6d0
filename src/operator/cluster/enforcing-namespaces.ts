/**
 * Namespaces that have an enforcing profile. Every node learns all of them: should a pod of such a namespace begin on a node while
 * the operator is away, the agent knows that it must not be let through, also where it has had none of its pods before.
 */
import { compareText } from "../../policy/table/names.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";

export class EnforcingNamespaces {
  /** Keys of the enforcing profiles, by namespace. */
  readonly #profiles = new Map<string, Set<string>>();
  readonly #listeners = new Set<() => void>();
  #names: readonly string[] = [];

  /** Sorted. Another list after each change, and never changed itself. */
  get names(): readonly string[] {
    return this.#names;
  }

  /** Calls the listener after each change. */
  subscribe(listener: () => void): void {
    this.#listeners.add(listener);
  }

  /** Takes a profile as it is now, or (null) that it is gone. */
  set(key: string, namespace: string, profile: StoredProfile | null): void {
    const profiles = this.#profiles.get(namespace) ?? new Set<string>();
    if (profile?.accepted?.actions.includes("enforce")) profiles.add(key);
    else profiles.delete(key);
    if (this.#profiles.has(namespace) === profiles.size > 0) return;
    if (profiles.size > 0) this.#profiles.set(namespace, profiles);
    else this.#profiles.delete(namespace);
    this.#names = [...this.#profiles.keys()].sort(compareText);
    for (const listener of this.#listeners) listener();
  }
}
