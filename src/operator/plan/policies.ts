/**
 * Policies: each distinct set of profiles with a search list is compiled once, for all pods that have it, and again when one of
 * the profiles or a peer's addresses change. Compiling is done elsewhere; what was compiled last counts until it is there.
 */

import { splitKey } from "../../kube/resources.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import type { PeerIndex } from "../cluster/peer-index.ts";
import type { CompileOrder, CompileResult } from "../profiles/messages.ts";
import type { StoredProfile } from "../profiles/stored-profile.ts";
import { MAX_NAMESPACE_BYTES, type StoredTable, type TableStore } from "./table-store.ts";

export interface Policy {
  key: string;
  /** Keys of the profiles, sorted. */
  profiles: readonly string[];
  searchDomains: readonly string[];
  /** Keys of the pods that have it. */
  pods: Set<string>;
  /** The last one that could be compiled; null: never any. */
  table: StoredTable | null;
  /** Why the table is not of the profiles as they are now, in words; null if it is, or is not known yet. */
  error: string | null;
  /** The profiles have changed since the table was compiled, or nobody has tried yet. */
  isStale: boolean;
  /** It has been compiled at least once, well or not. */
  isCompiled: boolean;
  /** Until when it is not compiled again, by the steady clock. */
  restsUntil: number;
  /** Sets of peers that the table depends on. */
  peers: Set<string>;
}

export interface PoliciesOptions {
  peers: PeerIndex;
  tables: TableStore;
  profile: (key: string) => StoredProfile | undefined;
  compile: (order: CompileOrder) => Promise<CompileResult>;
  /** There may be room now for the policy's table, for which there was none. */
  onRoom: (key: string) => void;
  /** The policy is gone. */
  onForgotten: (key: string) => void;
  onCompiled?: (seconds: number, failed: boolean) => void;
}

/** Gathering addresses gives others a turn after so many milliseconds. */
const TURN_MS = 10;
/**
 * A table rests so many times as long as it took to compile, before it is compiled again: one that is edited without end takes a tenth of a
 * processor, here and, as what is compiled is sent and put in force, on its nodes. Of most tables that is a few milliseconds.
 */
const REST_FACTOR = 10;
const REST_LONGEST_MS = 10_000;

export class Policies {
  readonly #options: PoliciesOptions;
  readonly #policies = new Map<string, Policy>();
  readonly #byProfile = new Map<string, Set<Policy>>();
  readonly #byPeer = new Map<string, Set<Policy>>();
  /** Policies whose table has no room, by namespace. */
  readonly #waiting = new Map<string, Set<Policy>>();

  constructor(options: PoliciesOptions) {
    this.#options = options;
    options.tables.subscribe((namespace) => {
      for (const { key } of this.#waiting.get(namespace) ?? []) options.onRoom(key);
    });
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

  /** The policy of a pod that these profiles select. One that is new has to be compiled. */
  join(pod: string, profiles: readonly string[], searchDomains: readonly string[]): Policy {
    const key = policyKey(profiles, searchDomains);
    const policy = this.#policies.get(key) ?? this.#make(key, profiles, searchDomains);
    policy.pods.add(pod);
    return policy;
  }

  /** The pod has it no more. A policy without pods is forgotten. */
  leave(pod: string, policy: Policy): void {
    policy.pods.delete(pod);
    if (policy.pods.size > 0) return;
    this.#policies.delete(policy.key);
    for (const profile of policy.profiles) remove(this.#byProfile, profile, policy);
    for (const key of policy.peers) this.#undepend(policy, key);
    remove(this.#waiting, splitKey(policy.key).namespace, policy);
    if (policy.table !== null) this.#options.tables.release(policy.table);
    this.#options.onForgotten(policy.key);
  }

  /**
   * Compiles it anew. A policy that cannot be compiled keeps the table that it had, and so does one that has lost a profile: its
   * pods are about to leave it, and without the profile it would say something that nobody has written.
   * @returns whether it has another table now
   * @throws ProfileThreadError; Error where the thread, begun again, has not read all yet
   */
  async compile(policy: Policy): Promise<boolean> {
    const profiles = policy.profiles.map((key) => this.#options.profile(key));
    const peers = await this.#addresses(policy, profiles);
    if (peers === null) return false;
    const { key, searchDomains } = policy;
    const held = [...(policy.table?.rulesets.keys() ?? [])];
    const order = { policy: key, profiles: policy.profiles, searchDomains, peers, held };
    const result = await this.#options.compile(order);
    this.#options.onCompiled?.(result.seconds, result.error !== null);
    policy.restsUntil = steadyNow() + Math.min(REST_LONGEST_MS, REST_FACTOR * 1000 * result.seconds);
    return this.#take(policy, result);
  }

  /** Addresses of all its peers, which it depends on from now on; null where one of the profiles is gone, or nobody has it any more. */
  async #addresses(
    policy: Policy,
    profiles: readonly (StoredProfile | undefined)[],
  ): Promise<Map<string, string> | null> {
    const addresses = new Map<string, string>();
    let turn = performance.now();
    for (const profile of profiles) {
      const accepted = profile?.accepted ?? null;
      if (profile === undefined || accepted === null) return null;
      const { namespace } = profile;
      for (const [key, text] of this.#options.peers.addresses({ namespace, ...accepted })) {
        addresses.set(key, text);
        // At once: what changes while the rest is gathered must not be missed.
        this.#depend(policy, key);
      }
      if (performance.now() - turn < TURN_MS) continue;
      await new Promise((settle) => setImmediate(settle));
      turn = performance.now();
    }
    if (this.#policies.get(policy.key) !== policy) return null;
    for (const key of policy.peers) if (!addresses.has(key)) this.#undepend(policy, key);
    return addresses;
  }

  /** Takes what was compiled, unless it is of other revisions than those that the pods were selected by. */
  #take(policy: Policy, { digests, table: content, error }: CompileResult): boolean {
    const { tables, profile } = this.#options;
    if (this.#policies.get(policy.key) !== policy) return false;
    if (digests.includes("")) throw new Error("the profiles' thread does not know all profiles yet");
    const isCurrent = policy.profiles.every((key, index) => profile(key)?.accepted?.digest === digests[index]);
    if (!isCurrent) return false;
    policy.isCompiled = true;
    policy.isStale = false;
    policy.error = error?.message ?? null;
    const { namespace } = splitKey(policy.key);
    remove(this.#waiting, namespace, policy);
    if (content === null) return false;
    if (tables.excess(content) > 0) {
      policy.error = noRoom(namespace);
      add(this.#waiting, namespace, policy);
      return false;
    }
    const before = policy.table;
    const table = tables.add(content);
    // What it had to have is gone meanwhile: compiled once more, with all of it.
    if (table === null) throw new Error(`table ${content.hash} refers to a rule set that is not kept any more`);
    policy.table = table;
    if (before !== null) tables.release(before);
    return before?.hash !== table.hash;
  }

  #make(key: string, profiles: readonly string[], searchDomains: readonly string[]): Policy {
    const policy: Policy = {
      key,
      profiles,
      searchDomains,
      pods: new Set(),
      table: null,
      error: null,
      isStale: true,
      isCompiled: false,
      restsUntil: 0,
      peers: new Set(),
    };
    this.#policies.set(key, policy);
    for (const profile of profiles) add(this.#byProfile, profile, policy);
    return policy;
  }

  #depend(policy: Policy, peer: string): void {
    if (policy.peers.has(peer) || this.#policies.get(policy.key) !== policy) return;
    policy.peers.add(peer);
    this.#options.peers.retain([peer]);
    add(this.#byPeer, peer, policy);
  }

  #undepend(policy: Policy, peer: string): void {
    policy.peers.delete(peer);
    remove(this.#byPeer, peer, policy);
    this.#options.peers.release([peer]);
  }
}

function noRoom(namespace: string): string {
  return (
    `the tables of namespace ${namespace} would take more than the ${MAX_NAMESPACE_BYTES} bytes that it may have in the operator; ` +
    "list less, or select the same profiles for more of its pods, whose table is then kept once"
  );
}

/** The namespace comes first, so that a queue knows which namespace the work is for: profiles and pods of a policy are of one. */
function policyKey(profiles: readonly string[], searchDomains: readonly string[]): string {
  return `${profiles[0]?.split("/")[0] ?? ""}/${JSON.stringify([profiles, searchDomains])}`;
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
