/**
 * Records -> edges. A conversation of two pods of one node is in the records of both, and one edge: that of who began, with the
 * server's process. What a workload has beyond its 200 most used peers is an edge to `~other`.
 */
import { FlowVolumes } from "../counting/flow-volumes.ts";
import type { RecordFilter } from "../filters/record-filter.ts";
import { ownerName } from "../owner.ts";
import type { AgentEvent, TrafficEvent } from "../record.ts";
import { AddressBook } from "./address-book.ts";
import { type Edge, type EdgeEnd, type EdgeWorkload, flowsOf, workloadText } from "./edge.ts";
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
  readonly #volumes: FlowVolumes;
  readonly #book = new AddressBook();
  readonly #workloads = new Map<string, { workload: EdgeWorkload; sights: Sights }>();

  /**
   * @param takes records that are wanted; the others still tell whose addresses are whose
   * @param since ms since 1970: what flows had before is not counted
   */
  constructor(takes: RecordFilter = () => true, since?: number) {
    this.#takes = takes;
    this.#volumes = new FlowVolumes(since);
  }

  add(record: AgentEvent): void {
    if ((record.type !== "verdict" && record.type !== "flow") || !isOfIp(record)) return;
    const workload = { namespace: record.workload.namespace, name: ownerName(record.workload) };
    // A forged source is no address of the workload.
    if (record.reason !== "IpSpoofing") this.#book.add(ownAddress(record), workload);
    if (!this.#takes(record)) return;
    const key = workloadText(workload);
    const known = this.#workloads.get(key) ?? { workload, sights: new Sights(workload) };
    this.#workloads.set(key, known);
    known.sights.add(record, record.type === "flow" ? this.#volumes.added(record) : null);
  }

  /** To be called once, when all records are there. */
  end(): EdgeList {
    const workloads = [...this.#workloads.values()];
    const seen = workloads.flatMap(({ sights }) => sights.edges());
    const edges = joined(merged(seen.map((edge) => this.#resolved(edge))));
    edges.sort(
      (one, other) => flowsOf(other) - flowsOf(one) || other.violations - one.violations || other.last - one.last,
    );
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

function isOfIp({ proto }: TrafficEvent): boolean {
  return proto !== "arp" && !proto.startsWith("0x");
}

function ownAddress({ direction, src, dst }: TrafficEvent): string {
  return (direction === "egress" ? src : dst).ip;
}
