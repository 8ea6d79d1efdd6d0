/** Whose fault it is that answers are slow: that of the network, or of the server's process. */
import type { Edge, Responses } from "./edge.ts";

/** Most of the time that clients waited passed there; null: not both ends were seen. */
export type Culprit = "application" | "network" | null;

export function culpritOf({ waited, served }: Pick<Edge, "waited" | "served">): Culprit {
  const [whole, own] = [meanNs(waited), meanNs(served)];
  if (whole === null || own === null) return null;
  return own * 2 >= whole ? "application" : "network";
}

/** Null: there was no response. */
export function meanNs({ count, sumNs }: Responses): number | null {
  return count === 0 ? null : Math.round(sumNs / count);
}

/** Edges with responses, the slowest first: by what clients waited, and else by what servers took. */
export function bySlowness(edges: readonly Edge[]): Edge[] {
  const slowness = (edge: Edge) => meanNs(edge.waited) ?? meanNs(edge.served) ?? -1;
  return edges.filter((edge) => slowness(edge) >= 0).toSorted((one, other) => slowness(other) - slowness(one));
}
