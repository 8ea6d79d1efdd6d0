/** What a workload depends on, or is used by, and what these depend on in turn: edges by how many steps away they are. */
import { type Edge, type EdgeWorkload, workloadText } from "./edge.ts";

export type Way = "down" | "up";

export interface Reached {
  edge: Edge;
  /** From 1 on: edges of the workload itself. */
  depth: number;
}

/** Each edge once, those of one workload behind the one that led to it. */
export function reached(edges: readonly Edge[], from: EdgeWorkload, way: Way, depthMax: number): Reached[] {
  const [near, far] = way === "down" ? (["client", "server"] as const) : (["server", "client"] as const);
  const seen = new Set<string>();
  const visit = (workload: EdgeWorkload, depth: number): Reached[] => {
    const key = workloadText(workload);
    if (depth > depthMax || seen.has(key)) return [];
    seen.add(key);
    const own = edges.filter((edge) => isOf(edge[near].workload, key));
    return own.flatMap((edge) => {
      const next = edge[far].workload;
      return [{ edge, depth }, ...(next === undefined ? [] : visit(next, depth + 1))];
    });
  };
  return visit(from, 1);
}

function isOf(workload: EdgeWorkload | undefined, key: string): boolean {
  return workload !== undefined && workloadText(workload) === key;
}
