/** What is kept of Services, of their endpoints, and of namespaces. */
import type { KubeObject } from "../../kube/resources.ts";
import { canonicalAddresses } from "./addresses.ts";

/** A Service's own addresses: cluster, external and load balancer. Canonical text. */
export interface ServiceRecord {
  addresses: string[];
}

/** Endpoints of a Service, or a part of them. */
export interface SliceRecord {
  /** `namespace/name` of the Service. */
  service: string;
  addresses: string[];
}

export interface NamespaceRecord {
  labels: Record<string, string>;
}

interface ServiceObject extends KubeObject {
  spec?: { clusterIP?: string; clusterIPs?: string[]; externalIPs?: string[] };
  status?: { loadBalancer?: { ingress?: { ip?: string }[] } };
}

interface SliceObject extends KubeObject {
  endpoints?: { addresses?: string[] }[];
}

const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

export function serviceRecord(object: KubeObject): ServiceRecord {
  const { spec = {}, status = {} } = object as ServiceObject;
  const balancers = (status.loadBalancer?.ingress ?? []).map(({ ip }) => ip ?? "");
  // A headless Service has the cluster address "None", which is no address and so left out.
  const own = [spec.clusterIP ?? "", ...(spec.clusterIPs ?? []), ...(spec.externalIPs ?? []), ...balancers];
  return { addresses: canonicalAddresses(own) };
}

/** Null for a slice of no Service. Endpoints that are not ready count: they are reached while they start and end. */
export function sliceRecord(object: KubeObject): SliceRecord | null {
  const { metadata, endpoints } = object as SliceObject;
  const name = metadata.labels?.[SERVICE_NAME_LABEL];
  if (name === undefined) return null;
  const addresses = (endpoints ?? []).flatMap((endpoint) => endpoint.addresses ?? []);
  return { service: `${metadata.namespace ?? ""}/${name}`, addresses: canonicalAddresses(addresses) };
}

export function namespaceRecord({ metadata }: KubeObject): NamespaceRecord {
  return { labels: metadata.labels ?? {} };
}
