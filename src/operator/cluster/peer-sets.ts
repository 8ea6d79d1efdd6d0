/** Names of the sets of addresses that selected peers stand for: equal for equal peers, whoever selects them. */
import type { PodPeer, ServicePeer } from "../../api/types.ts";

export function podSetKey(peer: PodPeer, namespace: string): string {
  // With a namespace selector the profile's own namespace does not matter: profiles of all namespaces share the set.
  return JSON.stringify([peer.namespaceSelector === undefined ? namespace : "", peer]);
}

/** Key of a Service, `namespace/name`. `own` is the profile's namespace. */
export function serviceOf({ name, namespace }: ServicePeer, own: string): string {
  return `${namespace ?? own}/${name}`;
}

export function serviceSetKey(service: string): string {
  return `service ${service}`;
}
