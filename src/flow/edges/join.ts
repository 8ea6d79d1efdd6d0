/**
 * Two views of one conversation, of who began it and of who was asked, become one edge. They are one where both name the same two workloads,
 * protocol, port and verdict. Where several processes could be the other end's, none is named.
 */
import {
  addAddresses,
  addCounts,
  addResponses,
  type Edge,
  type EdgeEnd,
  endText,
  noResponses,
  type Responses,
} from "./edge.ts";

/** Edges of the same two ends, which were told apart by names or addresses of one workload, become one. */
export function merged(edges: readonly Edge[]): Edge[] {
  const byEnds = new Map<string, Edge>();
  for (const edge of edges) {
    const { client, server, port, proto, verdict } = edge;
    const key = JSON.stringify([endKey(client), endKey(server), port, proto, verdict]);
    const known = byEnds.get(key);
    if (known === undefined) byEnds.set(key, edge);
    else {
      addCounts(known, edge);
      addAddresses(known.client.addresses, client.addresses);
      addAddresses(known.server.addresses, server.addresses);
    }
  }
  return [...byEnds.values()];
}

/** The addresses tell whose records an edge is of. */
function endKey(end: EdgeEnd): unknown[] {
  return [endText(end), end.container, end.process, end.addresses.length > 0];
}

/** @param edges whose ends have their workloads, as far as these are known */
export function joined(edges: readonly Edge[]): Edge[] {
  const pairs = new Map<string, { clients: number; servers: Edge[] }>();
  for (const edge of edges.filter(isOfTwoWorkloads)) {
    const key = pairOf(edge);
    const pair = pairs.get(key) ?? { clients: 0, servers: [] };
    pairs.set(key, pair);
    if (isOfClient(edge)) pair.clients += 1;
    else pair.servers.push(edge);
  }
  return edges.flatMap((edge) => {
    const pair = isOfTwoWorkloads(edge) ? pairs.get(pairOf(edge)) : undefined;
    if (pair === undefined) return [edge];
    if (!isOfClient(edge)) return pair.clients > 0 ? [] : [edge];
    const server = withProcess(
      edge.server,
      pair.servers.map((view) => view.server),
    );
    return [{ ...edge, server, served: pair.clients === 1 ? servedBy(pair.servers) : edge.served }];
  });
}

/** Of several processes that asked, nobody knows which was served how. */
function servedBy(views: readonly Edge[]): Responses {
  const sum = noResponses();
  for (const { served } of views) addResponses(sum, served);
  return sum;
}

/** The client's own records name the peer by its addresses. */
function isOfClient({ server }: Edge): boolean {
  return server.addresses.length > 0;
}

function isOfTwoWorkloads({ client, server }: Edge): boolean {
  return client.workload !== undefined && server.workload !== undefined;
}

function pairOf({ client, server, port, proto, verdict }: Edge): string {
  return JSON.stringify([endText(client), endText(server), port, proto, verdict]);
}

function withProcess(end: EdgeEnd, views: readonly EdgeEnd[]): EdgeEnd {
  const [first, ...others] = views;
  const isOne = others.every(({ process, container }) => process === first?.process && container === first?.container);
  if (first === undefined || !isOne) return end;
  const { process, container } = first;
  return {
    ...end,
    ...(process === undefined ? {} : { process }),
    ...(container === undefined ? {} : { container }),
  };
}
