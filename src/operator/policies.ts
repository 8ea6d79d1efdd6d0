/**
 * Policies: each distinct set of profiles with a search list is compiled once, for all pods that have it, and again when one of
 * the profiles or a peer's addresses change.
 */
import type { PortcullisError } from "../api/errors.ts";
import type { SecurityProfile } from "../api/types.ts";
import { compileTable } from "../policy/compile.ts";
import { CompileError } from "../policy/errors.ts";
import type { RuleTable } from "../policy/tables.ts";
import type { PeerIndex } from "./peer-index.ts";
import type { TableStore } from "./table-store.ts";

export interface Policy {
  key: string;
  /** Keys of the profiles, sorted. */
  profiles: readonly string[];
  searchDomains: readonly string[];
  /** Keys of the pods that have it. */
  pods: Set<string>;
  /** The last one that could be compiled; null: never any. */
  table: RuleTable | null;
  /** Why the table is not of the profiles as they are now; null if it is. */
  error: PortcullisError | null;
  /** Sets of peers that the table depends on. */
  peers: ReadonlySet<string>;
  /** It has been compiled at least once, well or not. */
  isCompiled: boolean;
}

export interface PoliciesOptions {
  peers: PeerIndex;
  tables: TableStore;
  /** The last valid revision of a profile. */
  profile: (key: string) => SecurityProfile | null;
  onCompiled?: (seconds: number, failed: boolean) => void;
}

export class Policies {
  readonly #options: PoliciesOptions;
  readonly #policies = new Map<string, Policy>();
  readonly #byProfile = new Map<string, Set<Policy>>();
  readonly #byPeer = new Map<string, Set<Policy>>();

  constructor(options: PoliciesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#policies.size;
  }

  get(key: string): Policy | undefined {
    return this.#policies.get(key);
  }

  all(): Iterable<Policy> {
    return this.#policies.values();
  }

  ofProfile(profile: string): Iterable<Policy> {
    return this.#byProfile.get(profile) ?? [];
  }

  ofPeer(setKey: string): Iterable<Policy> {
    return this.#byPeer.get(setKey) ?? [];
  }

  /** The policy of a pod that these profiles select; compiled, if that is possible. */
  join(pod: string, profiles: readonly string[], searchDomains: readonly string[]): Policy {
    const key = JSON.stringify([profiles, searchDomains]);
    const policy = this.#policies.get(key) ?? this.#make(key, profiles, searchDomains);
    policy.pods.add(pod);
    if (!policy.isCompiled) this.compile(policy);
    return policy;
  }

  /** The pod has it no more. A policy without pods is forgotten. */
  leave(pod: string, policy: Policy): void {
    policy.pods.delete(pod);
    if (policy.pods.size > 0) return;
    this.#policies.delete(policy.key);
    for (const profile of policy.profiles) remove(this.#byProfile, profile, policy);
    this.#depend(policy, new Set());
    if (policy.table !== null) this.#options.tables.remove(policy.table);
  }

  /**
   * Compiles it anew. A policy that cannot be compiled keeps the table that it had, and so does one that has lost a profile: its
   * pods are about to leave it, and without the profile it would say something that nobody has written. Returns whether it has
   * another table now.
   * @throws whatever is no CompileError
   */
  compile(policy: Policy): boolean {
    const { peers, tables, onCompiled } = this.#options;
    const profiles = policy.profiles.map((key) => this.#options.profile(key));
    if (!profiles.every((profile) => profile !== null)) return false;
    const start = performance.now();
    const asked = new Set<string>();
    const before = policy.table;
    policy.isCompiled = true;
    try {
      const options = { searchDomains: [...policy.searchDomains], peers: peers.resolver(asked) };
      const table = tables.add(compileTable(profiles, options));
      policy.table = table;
      policy.error = null;
      if (before !== null) {
        if (before.hash !== table.hash) tables.replaced(before, table);
        tables.remove(before);
      }
    } catch (cause) {
      if (!(cause instanceof CompileError)) throw cause;
      policy.error = cause;
    } finally {
      this.#depend(policy, asked);
      onCompiled?.((performance.now() - start) / 1000, policy.error !== null);
    }
    return before?.hash !== policy.table?.hash;
  }

  #make(key: string, profiles: readonly string[], searchDomains: readonly string[]): Policy {
    const policy: Policy = {
      key,
      profiles,
      searchDomains,
      pods: new Set(),
      table: null,
      error: null,
      peers: new Set(),
      isCompiled: false,
    };
    this.#policies.set(key, policy);
    for (const profile of profiles) add(this.#byProfile, profile, policy);
    return policy;
  }

  #depend(policy: Policy, peers: ReadonlySet<string>): void {
    this.#options.peers.retain(peers);
    this.#options.peers.release(policy.peers);
    for (const key of policy.peers) if (!peers.has(key)) remove(this.#byPeer, key, policy);
    for (const key of peers) add(this.#byPeer, key, policy);
    policy.peers = peers;
  }
}

function add<T>(index: Map<string, Set<T>>, key: string, item: T): void {
  const items = index.get(key);
  if (items === undefined) index.set(key, new Set([item]));
  else items.add(item);
}

function remove<T>(index: Map<string, Set<T>>, key: string, item: T): void {
  const items = index.get(key);
  items?.delete(item);
  if (items?.size === 0) index.delete(key);
}
