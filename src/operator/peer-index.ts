/**
 * Addresses of the peers that profiles select. Each distinct peer is one set; a pod that comes, goes or changes is matched against
 * the sets that may mean it, and only sets whose addresses change are told of.
 */
import type { PodPeer, ServicePeer } from "../api/types.ts";
import { matchesPodPeer, type PeerPrefixes, type PeerResolver } from "../policy/peers.ts";
import { prefixesOf } from "./addresses.ts";
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
  prefixes: PeerPrefixes | null;
}

export class PeerIndex {
  readonly #sources: PeerSources;
  readonly #onChange: (setKey: string) => void;
  readonly #sets = new Map<string, PodSet>();
  /** Slices by the key of their Service, then their own. */
  readonly #slices = new Map<string, Map<string, SliceRecord>>();
  readonly #uses = new Map<string, number>();

  /** @param onChange told the key of each set whose addresses have changed */
  constructor(sources: PeerSources, onChange: (setKey: string) => void) {
    this.#sources = sources;
    this.#onChange = onChange;
  }

  /** Resolves peers, and collects the keys of the sets that were asked for. */
  resolver(asked: Set<string>): PeerResolver {
    return {
      pods: (peer, namespace) => {
        const set = this.#podSet(peer, namespace);
        asked.add(set.key);
        set.prefixes ??= prefixesOf([...set.members.values()].flat());
        return set.prefixes;
      },
      service: (peer, namespace) => {
        const key = serviceOf(peer, namespace);
        asked.add(serviceSetKey(key));
        return prefixesOf(this.#serviceAddresses(key));
      },
    };
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
        this.#sets.delete(key);
      }
    }
  }

  podChanged(key: string, pod: PodRecord | null): void {
    for (const set of this.#sets.values()) this.#update(set, key, pod);
  }

  namespaceChanged(name: string): void {
    for (const set of this.#sets.values()) {
      if (set.peer.namespaceSelector === undefined) continue;
      for (const [key, pod] of this.#sources.pods.ofNamespace(name)) this.#update(set, key, pod);
    }
  }

  serviceChanged(key: string): void {
    this.#onChange(serviceSetKey(key));
  }

  sliceChanged(key: string, before: SliceRecord | null, after: SliceRecord | null): void {
    for (const service of new Set([before?.service, after?.service])) {
      if (service === undefined) continue;
      const slices = this.#slices.get(service) ?? new Map<string, SliceRecord>();
      if (after?.service === service) slices.set(key, after);
      else slices.delete(key);
      if (slices.size === 0) this.#slices.delete(service);
      else this.#slices.set(service, slices);
      this.#onChange(serviceSetKey(service));
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
    const set: PodSet = { key, peer, namespace, members: new Map(), prefixes: null };
    const { pods } = this.#sources;
    const isOwn = peer.namespaceSelector === undefined;
    const candidates = isOwn ? pods.candidates(namespace, peer.podSelector) : pods.all();
    for (const [podKey, pod] of candidates) {
      const addresses = this.#addressesFor(set, pod);
      if (addresses.length > 0) set.members.set(podKey, addresses);
    }
    this.#sets.set(key, set);
    return set;
  }

  #update(set: PodSet, key: string, pod: PodRecord | null): void {
    const before = set.members.get(key) ?? [];
    const after = pod === null ? [] : this.#addressesFor(set, pod);
    if (before.length === after.length && before.every((address, index) => address === after[index])) return;
    if (after.length === 0) set.members.delete(key);
    else set.members.set(key, after);
    set.prefixes = null;
    this.#onChange(set.key);
  }

  /** Addresses that the pod adds to the set. A host-network pod's is its node's, and so nobody's own. */
  #addressesFor({ peer, namespace }: PodSet, pod: PodRecord): readonly string[] {
    if (pod.hostNetwork || pod.addresses.length === 0) return [];
    if (peer.namespaceSelector === undefined && pod.namespace !== namespace) return [];
    const labels = this.#sources.namespace(pod.namespace)?.labels ?? {};
    return matchesPodPeer(peer, namespace, pod, labels) ? pod.addresses : [];
  }
}

function podSetKey(peer: PodPeer, namespace: string): string {
  // With a namespace selector the profile's own namespace does not matter: profiles of all namespaces share the set.
  return JSON.stringify([peer.namespaceSelector === undefined ? namespace : "", peer]);
}

function serviceOf({ name, namespace }: ServicePeer, own: string): string {
  return `${namespace ?? own}/${name}`;
}

function serviceSetKey(service: string): string {
  return `service ${service}`;
}
