/**
 * Records -> edges. A conversation of two pods of one node is in the records of both, and one edge: that of who began, with the
 * server's process. What a workload has beyond its 200 most used peers is an edge to `~other`.
 */
import type { RecordFilter } from "../filters/filter.ts";
import { ownerName } from "../owner.ts";
import type { AgentEvent, VerdictEvent } from "../record.ts";
import { AddressBook } from "./address-book.ts";
import { type Edge, type EdgeEnd, type EdgeWorkload, workloadText } from "./edge.ts";
import { joined, merged } from "./join.ts";
import { Sights } from "./sight.ts";

export interface EdgeList {
  /** The most used first. */
  edges: Edge[];
  /** Workloads of which there are records. */
  workloads: EdgeWorkload[];
  /** Addresses that several workloads had: edges to them stay edges to addresses. */
  ambiguous: number;
}

export class Edges {
  readonly #takes: RecordFilter;
  readonly #book = new AddressBook();
  readonly #workloads = new Map<string, { workload: EdgeWorkload; sights: Sights }>();

  /** @param takes records that are wanted; the others still tell whose addresses are whose */
  constructor(takes: RecordFilter = () => true) {
    this.#takes = takes;
  }

  add(record: AgentEvent): void {
    if (record.type !== "verdict" || !isOfIp(record)) return;
    const workload = { namespace: record.workload.namespace, name: ownerName(record.workload) };
    // A forged source is no address of the workload.
    if (record.reason !== "IpSpoofing") this.#book.add(ownAddress(record), workload);
    if (!this.#takes(record)) return;
    const key = workloadText(workload);
    const known = this.#workloads.get(key) ?? { workload, sights: new Sights(workload) };
    this.#workloads.set(key, known);
    known.sights.add(record);
  }

  /** To be called once, when all records are there. */
  end(): EdgeList {
    const workloads = [...this.#workloads.values()];
    const seen = workloads.flatMap(({ sights }) => sights.edges());
    const edges = joined(merged(seen.map((edge) => this.#resolved(edge))));
    edges.sort((one, other) => other.flows - one.flows || other.violations - one.violations || other.last - one.last);
    return { edges, workloads: workloads.map(({ workload }) => workload), ambiguous: this.#book.ambiguous };
  }

  #resolved(edge: Edge): Edge {
    return { ...edge, client: this.#resolvedEnd(edge.client), server: this.#resolvedEnd(edge.server) };
  }

  #resolvedEnd(end: EdgeEnd): EdgeEnd {
    const owner = end.workload === undefined ? this.#book.ownerOf(end.addresses) : null;
    return owner === null ? end : { ...end, workload: owner };
  }
}

function isOfIp({ proto }: VerdictEvent): boolean {
  return proto !== "arp" && !proto.startsWith("0x");
}

function ownAddress({ direction, src, dst }: VerdictEvent): string {
  return (direction === "egress" ? src : dst).ip;
}
