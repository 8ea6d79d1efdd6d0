/** What Services mean: where their addresses lead, and what their names are. Pure. */
import { API_PORT, KUBERNETES_SERVICE, type NodePlace, type ServiceRoute } from "./network.ts";

export const CLUSTER_DOMAIN = "cluster.local";

interface ObjectMeta {
  name: string;
  namespace: string;
  labels?: Record<string, string>;
}

export interface Service {
  metadata: ObjectMeta;
  spec: { clusterIP: string; ports?: { name?: string; port: number; protocol: string }[] };
}

export interface EndpointSlice {
  metadata: ObjectMeta;
  endpoints: { addresses: string[]; conditions: { ready?: boolean } }[] | null;
  ports: { name?: string; port: number }[] | null;
}

/** The way to the API server, which is there before all else. */
export function apiService(place: NodePlace): ServiceRoute {
  const endpoints = [`${place.address}:${API_PORT}`];
  return { address: KUBERNETES_SERVICE, protocol: "tcp", port: 443, endpoints };
}

/** Where each port of the Service leads: to the pods behind it that are ready. */
export function serviceRoutes({ metadata, spec }: Service, slices: readonly EndpointSlice[]): ServiceRoute[] {
  if (spec.clusterIP === "None" || spec.clusterIP === KUBERNETES_SERVICE) return [];
  const own = slices.filter(
    (slice) =>
      slice.metadata.namespace === metadata.namespace &&
      slice.metadata.labels?.["kubernetes.io/service-name"] === metadata.name,
  );
  return (spec.ports ?? []).map(({ name, port, protocol }) => ({
    address: spec.clusterIP,
    protocol: protocol === "UDP" ? "udp" : "tcp",
    port,
    endpoints: own.flatMap((slice) => readyEndpoints(slice, name)).sort(),
  }));
}

/** Lines as in /etc/hosts, for the cluster's DNS. */
export function serviceNames(services: readonly Service[]): string {
  return services
    .filter(({ spec }) => spec.clusterIP !== "None")
    .map(({ metadata, spec }) => `${spec.clusterIP} ${metadata.name}.${metadata.namespace}.svc.${CLUSTER_DOMAIN}\n`)
    .sort()
    .join("");
}

function readyEndpoints({ endpoints, ports }: EndpointSlice, name = ""): string[] {
  const port = ports?.find((candidate) => (candidate.name ?? "") === name)?.port;
  const ready = (endpoints ?? []).filter(({ conditions }) => conditions.ready !== false);
  return port === undefined ? [] : ready.flatMap(({ addresses }) => addresses.map((address) => `${address}:${port}`));
}
