/**
 * Addresses of the peers that profiles select. Each distinct peer is one set; a pod that comes, goes or changes is matched against
 * the sets that may mean it, and only sets whose addresses change are reported.
 */
import type { PodPeer, ServicePeer } from "../../api/types.ts";
import { splitKey } from "../../kube/resources.ts";
import { matchesPodPeer } from "../../policy/table/peers.ts";
import { matchesSelector } from "../../policy/table/selection.ts";
import { podSetKey, serviceOf, serviceSetKey } from "./peer-sets.ts";
import type { PodIndex } from "./pod-index.ts";
import type { PodRecord } from "./pod-record.ts";
import type { NamespaceRecord, ServiceRecord, SliceRecord } from "./service-record.ts";

/** What the index looks things up in. */
export interface PeerSources {
  pods: PodIndex;
  namespace(name: string): NamespaceRecord | undefined;
  service(key: string): ServiceRecord | undefined;
}

interface PodSet {
  key: string;
  peer: PodPeer;
  /** Of the profile. */
  namespace: string;
  /** Addresses by the key of their pod. */
  members: Map<string, readonly string[]>;
  /** All of them with spaces in between; null: to be made. */
  text: string | null;
}

/** In whose name peers are selected, and which. */
export interface SelectedPeers {
  namespace: string;
  pods: readonly PodPeer[];
  services: readonly ServicePeer[];
}

export class PeerIndex {
  readonly #sources: PeerSources;
  readonly #listeners = new Set<(setKey: string) => void>();
  readonly #sets = new Map<string, PodSet>();
  /** The same by the namespace that they are confined to; `""` for those that select namespaces. */
  readonly #byNamespace = new Map<string, Set<PodSet>>();
  /** Slices by the key of their Service, then their own. */
  readonly #slices = new Map<string, Map<string, SliceRecord>>();
  readonly #uses = new Map<string, number>();

  constructor(sources: PeerSources) {
    this.#sources = sources;
  }

  /** Calls the listener with the key of each set whose addresses have changed. */
  subscribe(listener: (setKey: string) => void): void {
    this.#listeners.add(listener);
  }

  /** Addresses of the sets of these peers, as one text each with spaces in between, by the sets' keys. */
  addresses({ namespace, pods, services }: SelectedPeers): [string, string][] {
    return [
      ...pods.map((peer): [string, string] => {
        const set = this.#podSet(peer, namespace);
        set.text ??= [...set.members.values()].flat().sort().join(" ");
        return [set.key, set.text];
      }),
      ...services.map((peer): [string, string] => {
        const key = serviceOf(peer, namespace);
        return [serviceSetKey(key), [...this.#serviceAddresses(key)].sort().join(" ")];
      }),
    ];
  }

  /** Somebody goes by these sets from now on. */
  retain(keys: Iterable<string>): void {
    for (const key of keys) this.#uses.set(key, (this.#uses.get(key) ?? 0) + 1);
  }

  /** And no longer; sets that nobody goes by are forgotten. */
  release(keys: Iterable<string>): void {
    for (const key of keys) {
      const uses = (this.#uses.get(key) ?? 0) - 1;
      if (uses > 0) this.#uses.set(key, uses);
      else {
        this.#uses.delete(key);
        this.#forget(key);
      }
    }
  }

  podChanged(key: string, pod: PodRecord | null): void {
    const { namespace } = splitKey(key);
    for (const place of [namespace, ""]) {
      for (const set of this.#byNamespace.get(place) ?? []) this.#update(set, key, pod);
    }
  }

  namespaceChanged(name: string): void {
    for (const set of this.#byNamespace.get("") ?? []) {
      for (const [key, pod] of this.#sources.pods.ofNamespace(name)) this.#update(set, key, pod);
    }
  }

  serviceChanged(key: string): void {
    this.#changed(serviceSetKey(key));
  }

  sliceChanged(key: string, before: SliceRecord | null, after: SliceRecord | null): void {
    for (const service of new Set([before?.service, after?.service])) {
      if (service === undefined) continue;
      const slices = this.#slices.get(service) ?? new Map<string, SliceRecord>();
      if (after?.service === service) slices.set(key, after);
      else slices.delete(key);
      if (slices.size === 0) this.#slices.delete(service);
      else this.#slices.set(service, slices);
      this.#changed(serviceSetKey(service));
    }
  }

  #serviceAddresses(key: string): Set<string> {
    const slices = [...(this.#slices.get(key)?.values() ?? [])];
    return new Set([...(this.#sources.service(key)?.addresses ?? []), ...slices.flatMap(({ addresses }) => addresses)]);
  }

  #podSet(peer: PodPeer, namespace: string): PodSet {
    const key = podSetKey(peer, namespace);
    const known = this.#sets.get(key);
    if (known !== undefined) return known;
    const set: PodSet = { key, peer, namespace, members: new Map(), text: null };
    const { pods } = this.#sources;
    for (const place of this.#namespacesOf(set)) {
      for (const [podKey, pod] of pods.candidates(place, peer.podSelector)) {
        const addresses = this.#addressesFor(set, pod);
        if (addresses.length > 0) set.members.set(podKey, addresses);
      }
    }
    this.#sets.set(key, set);
    const place = placeOf(set);
    const sets = this.#byNamespace.get(place) ?? new Set<PodSet>();
    this.#byNamespace.set(place, sets.add(set));
    return set;
  }

  #forget(key: string): void {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    this.#sets.delete(key);
    const sets = this.#byNamespace.get(placeOf(set));
    sets?.delete(set);
    if (sets?.size === 0) this.#byNamespace.delete(placeOf(set));
  }

  /** Namespaces whose pods it may mean. */
  #namespacesOf({ peer, namespace }: PodSet): string[] {
    const { namespaceSelector } = peer;
    if (namespaceSelector === undefined) return [namespace];
    const { pods, namespace: recordOf } = this.#sources;
    return [...pods.namespaces()].filter((name) => matchesSelector(namespaceSelector, recordOf(name)?.labels ?? {}));
  }

  #update(set: PodSet, key: string, pod: PodRecord | null): void {
    const before = set.members.get(key) ?? [];
    const after = pod === null ? [] : this.#addressesFor(set, pod);
    if (before.length === after.length && before.every((address, index) => address === after[index])) return;
    if (after.length === 0) set.members.delete(key);
    else set.members.set(key, after);
    set.text = null;
    this.#changed(set.key);
  }

  #changed(setKey: string): void {
    for (const listener of this.#listeners) listener(setKey);
  }

  /** Addresses that the pod adds to the set. A host-network pod's is its node's, and so nobody's own. */
  #addressesFor({ peer, namespace }: PodSet, pod: PodRecord): readonly string[] {
    if (pod.hostNetwork || pod.addresses.length === 0) return [];
    if (peer.namespaceSelector === undefined && pod.namespace !== namespace) return [];
    const labels = this.#sources.namespace(pod.namespace)?.labels ?? {};
    return matchesPodPeer(peer, namespace, pod, labels) ? pod.addresses : [];
  }
}

function placeOf({ peer, namespace }: PodSet): string {
  return peer.namespaceSelector === undefined ? namespace : "";
}
