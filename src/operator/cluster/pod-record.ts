/**
 * What is kept of a pod. Pods come whole from the API server, because node, addresses and containers are no metadata; all but this
 * is dropped on arrival.
 */

import { podWeaknesses, type SecuredPodSpec, type Weakness } from "../../api/pods/weaknesses.ts";
import type { Container } from "../../gen/agent_pb.js";
import type { KubeObject } from "../../kube/resources.ts";
import { canonicalAddresses } from "./addresses.ts";
import { sharedLabels, sharedText } from "./shared-values.ts";

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
  /** As agents get them. */
  containers: Container[];
  dns: PodDns;
  /** What its specification gives it beyond need; shared by all pods that have the same. */
  weaknesses: readonly Weakness[];
}

interface ContainerStatus {
  name?: string;
  containerID?: string;
}

interface PodObject extends KubeObject {
  spec?: SecuredPodSpec & {
    nodeName?: string;
    hostNetwork?: boolean;
    dnsPolicy?: string;
    dnsConfig?: { searches?: string[] };
    containers?: { name: string; securityContext?: object }[];
    initContainers?: { name: string; securityContext?: object }[];
    ephemeralContainers?: { name: string; securityContext?: object }[];
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
    namespace: sharedText(metadata.namespace ?? ""),
    name: metadata.name,
    uid: metadata.uid ?? "",
    labels: sharedLabels(metadata.labels ?? {}),
    nodeName: sharedText(spec.nodeName ?? ""),
    hostNetwork,
    addresses: canonicalAddresses(listed.length > 0 ? listed : [status.podIP ?? ""]),
    containers: containersOf(spec, status),
    dns: dnsOf(spec, hostNetwork),
    weaknesses: sharedWeaknesses(podWeaknesses(spec)),
  };
}

function containersOf(spec: NonNullable<PodObject["spec"]>, status: NonNullable<PodObject["status"]>): Container[] {
  const statuses = [status.initContainerStatuses, status.containerStatuses, status.ephemeralContainerStatuses];
  const ids = new Map(statuses.flatMap((list) => list ?? []).map(({ name, containerID }) => [name, containerID]));
  const record = (ephemeral: boolean) => (container: { name: string }) => {
    const id = (ids.get(container.name) ?? "").replace(/^[^:]*:\/\//, "");
    return { $typeName: "portcullis.agent.v1.Container" as const, name: sharedText(container.name), id, ephemeral };
  };
  const own = [spec.initContainers, spec.containers].flatMap((list) => list ?? []);
  return [...own.map(record(false)), ...(spec.ephemeralContainers ?? []).map(record(true))];
}

const SHARED_WEAKNESSES = new Map<string, readonly Weakness[]>();

/** There are far fewer combinations than pods. */
function sharedWeaknesses(weaknesses: readonly Weakness[]): readonly Weakness[] {
  const key = weaknesses.join();
  const known = SHARED_WEAKNESSES.get(key) ?? weaknesses;
  SHARED_WEAKNESSES.set(key, known);
  return known;
}

/** Of all pods that add nothing of their own. */
const PLAIN_DNS: readonly PodDns[] = [true, false].flatMap((cluster) =>
  [true, false].map((node) => ({ cluster, node, searches: [] })),
);

/** As the kubelet does it. */
function dnsOf({ dnsPolicy, dnsConfig }: NonNullable<PodObject["spec"]>, hostNetwork: boolean): PodDns {
  const searches = dnsConfig?.searches ?? [];
  const isCluster = dnsPolicy === "ClusterFirstWithHostNet" || (dnsPolicy === "ClusterFirst" && !hostNetwork);
  const node = dnsPolicy !== "None";
  if (searches.length > 0) return { cluster: isCluster, node, searches };
  return PLAIN_DNS.find((dns) => dns.cluster === isCluster && dns.node === node) as PodDns;
}

/** The search list of a pod's resolv.conf, as the kubelet makes it. */
export function searchDomainsOf(
  pod: Pick<PodRecord, "namespace" | "dns">,
  clusterDomain: string,
  nodeDomains: readonly string[],
): string[] {
  const { cluster, node, searches } = pod.dns;
  const clusterDomains = cluster
    ? [`${pod.namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
    : [];
  return [...new Set([...clusterDomains, ...(node ? nodeDomains : []), ...searches])];
}
