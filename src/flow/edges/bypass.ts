/** Conversations that pass a workload's proxy by: what a sidecar carries for other processes never leaves the pod in their name. */
import { namePattern } from "../filters/pattern.ts";
import { type Edge, workloadText } from "./edge.ts";

/** The proxy's executable, wherever it lies if there is no slash in it; or the port that a proxy outside of the pods is reached at. */
export type ProxyReference = { path: string } | { port: number };

/** A workload's part in an edge. */
interface Passage {
  workload: string;
  isProxied: boolean;
}

/** Edges of the workloads that use the proxy, by which they do not. */
export function bypassing(edges: readonly Edge[], proxy: ProxyReference): Edge[] {
  const passages = "path" in proxy ? byProcess(proxy.path) : byPort(proxy.port);
  const users = new Set(
    edges.flatMap((edge) =>
      passages(edge)
        .filter(({ isProxied }) => isProxied)
        .map(({ workload }) => workload),
    ),
  );
  return edges.filter((edge) => passages(edge).some(({ workload, isProxied }) => users.has(workload) && !isProxied));
}

/** Whose process is not known may be the proxy. */
function byProcess(path: string): (edge: Edge) => Passage[] {
  const matches = namePattern([path.includes("/") || path.startsWith("*") ? path : `*/${path}`]);
  return ({ client, server }) =>
    [client, server].flatMap(({ workload, process }) =>
      workload === undefined || process === undefined
        ? []
        : [{ workload: workloadText(workload), isProxied: matches(process) }],
    );
}

function byPort(port: number): (edge: Edge) => Passage[] {
  return ({ client: { workload }, port: used }) =>
    workload === undefined ? [] : [{ workload: workloadText(workload), isProxied: used === port }];
}
