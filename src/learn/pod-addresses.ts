/** Which addresses are those of pods, as far as the pods' own records tell. */
import ipaddr from "ipaddr.js";
import type { LabelSelector, PodPeer } from "../api/types.ts";
import { ownerName } from "../flow/owner.ts";
import type { VerdictEvent } from "../flow/record.ts";
import { familyAddress, familyOf, formatIp, parseIp } from "../policy/table/addresses.ts";
import { type LabelledPod, matchesPodPeer, NAMESPACE_NAME_LABEL, type PeerPrefixes } from "../policy/table/peers.ts";
import { ADDRESS_BITS, type Family } from "../policy/table/prefixes.ts";
import { selectorLabels } from "./owner.ts";

interface RecordedPod extends LabelledPod {
  owner: string;
  /** Of its records, by family. */
  addresses: Record<Family, Set<string>>;
}

/** Peers that one pod of a cluster has a lasting name for: labels, which stay when the pod is replaced and its address changes. */
export class PodAddresses {
  /** By the pods' uids: what has none is not of a cluster, where labels mean nothing to peers. */
  readonly #pods = new Map<string, RecordedPod>();
  #byAddress: Map<string, RecordedPod[]> | null = null;

  add({ workload, direction, verdict, src, dst }: VerdictEvent): void {
    const { uid, namespace, labels } = workload;
    const own = parseIp((direction === "egress" ? src : dst).ip);
    if (uid === undefined || verdict !== "allowed" || own === null || !isOfOneHost(formatIp(own))) return;
    const fresh = { owner: ownerName(workload), addresses: { ipv4: new Set<string>(), ipv6: new Set<string>() } };
    const pod = this.#pods.get(uid) ?? { namespace, labels, ...fresh };
    pod.labels = labels;
    pod.addresses[familyOf(own)].add(formatIp(own));
    this.#pods.set(uid, pod);
    this.#byAddress = null;
  }

  /** How a rule of a profile in `namespace` names whoever has an address; null where records do not tell, or tell of two workloads. */
  peerAt(address: string, namespace: string): PodPeer | null {
    const pods = this.#at(address);
    const [first] = pods;
    if (first === undefined || pods.some((pod) => !isOfOneWorkload(pod, first))) return null;
    const replicas = [...this.#pods.values()].filter((pod) => isOfOneWorkload(pod, first));
    const matchLabels = selectorLabels(replicas.map(({ labels }) => labels));
    if (Object.keys(matchLabels).length === 0) return null;
    const podSelector: LabelSelector = { matchLabels };
    if (first.namespace === namespace) return { podSelector };
    return { namespaceSelector: { matchLabels: { [NAMESPACE_NAME_LABEL]: first.namespace } }, podSelector };
  }

  /** Whether a peer of a profile in `namespace` means the pod at an address; null where records do not tell whose it is. */
  means(peer: PodPeer, namespace: string, address: string): boolean | null {
    const pods = this.#at(address);
    if (pods.length === 0) return null;
    return pods.some((pod) => matchesPodPeer(peer, namespace, pod, namespaceLabels(pod)));
  }

  /** Addresses of the recorded pods that a peer of a profile in `namespace` means. */
  addressesOf(peer: PodPeer, namespace: string): PeerPrefixes {
    const meant = [...this.#addresses()].filter(([, pods]) =>
      pods.some((pod) => matchesPodPeer(peer, namespace, pod, namespaceLabels(pod))),
    );
    const prefixes = (family: Family) =>
      meant
        .flatMap(([text]) => parseIp(text) ?? [])
        .filter((address) => familyOf(address) === family)
        .map((address) => ({ address: familyAddress(address, family), length: ADDRESS_BITS[family] }));
    return { cidrs4: prefixes("ipv4"), cidrs6: prefixes("ipv6") };
  }

  #at(text: string): readonly RecordedPod[] {
    const address = parseIp(text);
    return address === null ? [] : (this.#addresses().get(formatIp(address)) ?? []);
  }

  /**
   * A pod that was seen with two addresses of a family has none: one of them may be forged, and a rule for whoever forges an address would
   * be one for an intruder.
   */
  #addresses(): Map<string, RecordedPod[]> {
    if (this.#byAddress !== null) return this.#byAddress;
    const byAddress = new Map<string, RecordedPod[]>();
    for (const pod of this.#pods.values()) {
      for (const addresses of Object.values(pod.addresses).filter(({ size }) => size === 1)) {
        for (const address of addresses) byAddress.set(address, [...(byAddress.get(address) ?? []), pod]);
      }
    }
    this.#byAddress = byAddress;
    return byAddress;
  }
}

function isOfOneWorkload(one: RecordedPod, other: RecordedPod): boolean {
  return one.namespace === other.namespace && one.owner === other.owner;
}

/** The one that every namespace has; records have no others. */
function namespaceLabels({ namespace }: RecordedPod): Record<string, string> {
  return { [NAMESPACE_NAME_LABEL]: namespace };
}

/** Whether it can be an address that others know a pod by. */
function isOfOneHost(address: string): boolean {
  const range = ipaddr.process(address).range();
  return !["unspecified", "broadcast", "multicast", "linkLocal", "loopback"].includes(range);
}
