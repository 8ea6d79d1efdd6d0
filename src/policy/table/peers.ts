/** Peers that are selected in the cluster, pods by labels and Services by name, and whom they mean. */
import type { LabelSelector, PodPeer, ServicePeer } from "../../api/types.ts";
import type { Prefix } from "./prefixes.ts";
import { describeSelector, matchesSelector } from "./selection.ts";

/** Addresses of a selected peer at this moment, one prefix each. */
export interface PeerPrefixes {
  cidrs4: readonly Prefix[];
  cidrs6: readonly Prefix[];
}

/** Who knows the addresses: the operator. `namespace` is the profile's. */
export interface PeerResolver {
  pods(peer: PodPeer, namespace: string): PeerPrefixes;
  service(peer: ServicePeer, namespace: string): PeerPrefixes;
}

/** The cluster's DNS, where Kubernetes' own installers put it. */
export const CLUSTER_DNS: ServicePeer = { namespace: "kube-system", name: "kube-dns" };

/** A pod as a selector sees it. */
export interface LabelledPod {
  namespace: string;
  labels: Record<string, string>;
}

/** The label that every namespace has, with its own name. */
export const NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name";

/**
 * Whether a peer means a pod, as in a NetworkPolicy: without `namespaceSelector` only in the profile's own namespace, and an
 * empty selector is every one.
 * @param namespaceLabels of the pod's namespace
 */
export function matchesPodPeer(
  peer: PodPeer,
  namespace: string,
  pod: LabelledPod,
  namespaceLabels: Record<string, string>,
): boolean {
  const { namespaceSelector, podSelector } = peer;
  if (namespaceSelector === undefined && pod.namespace !== namespace) return false;
  if (namespaceSelector !== undefined && !matchesSelector(namespaceSelector, namespaceLabels)) return false;
  return podSelector === undefined || matchesSelector(podSelector, pod.labels);
}

/** In words: `pods app=web of namespace shop`, `all pods of namespaces team=a`. `namespace` is the profile's. */
export function describePodPeer({ namespaceSelector, podSelector }: PodPeer, namespace: string): string {
  const pods = podSelector === undefined ? "" : describeSelector(podSelector);
  return `${pods === "" ? "all pods" : `pods ${pods}`} of ${describeNamespaces(namespaceSelector, namespace)}`;
}

function describeNamespaces(selector: LabelSelector | undefined, namespace: string): string {
  if (selector === undefined) return `namespace ${namespace}`;
  const text = describeSelector(selector);
  return text === "" ? "all namespaces" : `namespaces ${text}`;
}

/** In words: `service shop/db`. `namespace` is the profile's. */
export function describeServicePeer(peer: ServicePeer, namespace: string): string {
  return `service ${peer.namespace ?? namespace}/${peer.name}`;
}
