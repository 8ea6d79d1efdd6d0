/**
 * What is kept of a pod. Pods come whole from the API server, because node, addresses and containers are no metadata; all but this
 * is dropped on arrival.
 */

import type { KubeObject } from "../kube/resources.ts";
import { canonicalAddresses } from "./addresses.ts";

export interface PodContainer {
  name: string;
  /** Of the runtime, without its scheme; empty until the API server knows it. */
  id: string;
}

/** Where the search list of a pod's resolv.conf comes from. */
export interface PodDns {
  /** The cluster's domains. */
  cluster: boolean;
  /** The node's own search list. */
  node: boolean;
  /** `dnsConfig.searches`. */
  searches: string[];
}

export interface PodRecord {
  namespace: string;
  name: string;
  uid: string;
  labels: Record<string, string>;
  /** Empty before it is scheduled. */
  nodeName: string;
  hostNetwork: boolean;
  /** Canonical text. */
  addresses: string[];
  containers: PodContainer[];
  dns: PodDns;
}

interface ContainerStatus {
  name?: string;
  containerID?: string;
}

interface PodObject extends KubeObject {
  spec?: {
    nodeName?: string;
    hostNetwork?: boolean;
    dnsPolicy?: string;
    dnsConfig?: { searches?: string[] };
    containers?: { name: string }[];
    initContainers?: { name: string }[];
    ephemeralContainers?: { name: string }[];
  };
  status?: {
    phase?: string;
    podIP?: string;
    podIPs?: { ip?: string }[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
    ephemeralContainerStatuses?: ContainerStatus[];
  };
}

/** Finished pods have neither network nor processes. The API server leaves them out. */
export const LIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed";

/** Null for a pod that is finished. */
export function podRecord(object: KubeObject): PodRecord | null {
  const { metadata, spec = {}, status = {} } = object as PodObject;
  if (status.phase === "Succeeded" || status.phase === "Failed") return null;
  const hostNetwork = spec.hostNetwork === true;
  const listed = (status.podIPs ?? []).map(({ ip }) => ip ?? "");
  return {
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    uid: metadata.uid ?? "",
    labels: metadata.labels ?? {},
    nodeName: spec.nodeName ?? "",
    hostNetwork,
    addresses: canonicalAddresses(listed.length > 0 ? listed : [status.podIP ?? ""]),
    containers: containersOf(spec, status),
    dns: dnsOf(spec, hostNetwork),
  };
}

function containersOf(spec: NonNullable<PodObject["spec"]>, status: NonNullable<PodObject["status"]>): PodContainer[] {
  const statuses = [status.initContainerStatuses, status.containerStatuses, status.ephemeralContainerStatuses];
  const ids = new Map(statuses.flatMap((list) => list ?? []).map(({ name, containerID }) => [name, containerID]));
  const listed = [spec.initContainers, spec.containers, spec.ephemeralContainers].flatMap((list) => list ?? []);
  return listed.map(({ name }) => ({ name, id: (ids.get(name) ?? "").replace(/^[^:]*:\/\//, "") }));
}

/** As the kubelet does it. */
function dnsOf({ dnsPolicy, dnsConfig }: NonNullable<PodObject["spec"]>, hostNetwork: boolean): PodDns {
  const searches = dnsConfig?.searches ?? [];
  const isCluster = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  return { cluster: isCluster, node: dnsPolicy !== "None", searches };
}

/** The search list of a pod's resolv.conf, as the kubelet makes it. */
export function searchDomainsOf(pod: PodRecord, clusterDomain: string, nodeDomains: readonly string[]): string[] {
  const { cluster, node, searches } = pod.dns;
  const clusterDomains = cluster
    ? [`${pod.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
    : [];
  return [...new Set([...clusterDomains, ...(node ? nodeDomains : []), ...searches])];
}
