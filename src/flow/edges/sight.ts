/** What one workload's records show of an edge: one of its ends is that workload, the other one a peer. */
import type { Verdict } from "../../api/reasons.ts";
import { peerOf, processName } from "../counting/fields.ts";
import { OTHER } from "../counting/tally.ts";
import type { VerdictEvent } from "../record.ts";
import {
  addAddresses,
  addCounts,
  type Edge,
  type EdgeCounts,
  type EdgeEnd,
  type EdgeWorkload,
  noCounts,
} from "./edge.ts";

/** What tells the conversations of a workload apart. */
interface Kind {
  direction: VerdictEvent["direction"];
  verdict: Verdict;
  /** Name, or else address. */
  peer: string;
  peerName?: string;
  container?: string;
  process?: string;
  port?: number;
  proto: string;
  application?: string;
}

/** Peers of a workload that have edges of their own. */
export const PEERS_MAX = 200;
/** Kinds of conversations of a workload that are told apart while records are read. */
const KINDS_MAX = 20_000;
interface Sight {
  kind: Kind;
  addresses: string[];
  counts: EdgeCounts;
}

export class Sights {
  readonly #workload: EdgeWorkload;
  readonly #sights = new Map<string, Sight>();

  constructor(workload: EdgeWorkload) {
    this.#workload = workload;
  }

  add(record: VerdictEvent): void {
    const kind = kindOf(record);
    const sight = this.#sight(this.#sights.size < KINDS_MAX || this.#has(kind) ? kind : restOf(kind));
    addAddresses(sight.addresses, [peerOf(record).ip]);
    addCounts(sight.counts, countsOf(record));
  }

  /** All but the most used peers are one. */
  edges(): Edge[] {
    const uses = new Map<string, number>();
    for (const { kind, counts } of this.#sights.values()) {
      uses.set(kind.peer, (uses.get(kind.peer) ?? 0) + counts.flows + counts.violations);
    }
    const most = new Set(
      [...uses]
        .sort(([, one], [, other]) => other - one)
        .slice(0, PEERS_MAX)
        .map(([peer]) => peer),
    );
    for (const [key, sight] of this.#sights) {
      if (most.has(sight.kind.peer) || sight.kind.peer === OTHER) continue;
      this.#sights.delete(key);
      addCounts(this.#sight(restOf(sight.kind)).counts, sight.counts);
    }
    return [...this.#sights.values()].map((sight) => this.#edge(sight));
  }

  #has(kind: Kind): boolean {
    return this.#sights.has(JSON.stringify(kind));
  }

  #sight(kind: Kind): Sight {
    const key = JSON.stringify(kind);
    const known = this.#sights.get(key);
    if (known !== undefined) return known;
    const sight: Sight = { kind, addresses: [], counts: noCounts() };
    this.#sights.set(key, sight);
    return sight;
  }

  #edge({ kind, addresses, counts }: Sight): Edge {
    const { direction, verdict, peer, peerName, container, process, port, proto, application } = kind;
    const own: EdgeEnd = {
      workload: this.#workload,
      ...(container === undefined ? {} : { container }),
      ...(process === undefined ? {} : { process }),
      addresses: [],
    };
    const isRest = peer === OTHER;
    const name = isRest ? OTHER : peerName;
    const other: EdgeEnd = { ...(name === undefined ? {} : { name }), addresses: isRest ? [] : addresses };
    return {
      ...(direction === "egress" ? { client: own, server: other } : { client: other, server: own }),
      ...(port === undefined ? {} : { port }),
      ...{ proto, ...(application === undefined ? {} : { application }), verdict },
      ...counts,
    };
  }
}

function kindOf(record: VerdictEvent): Kind {
  const { direction, verdict, dst, proto, application } = record;
  const { name, ip } = peerOf(record);
  const process = processName(record);
  const container = record.process?.container;
  return {
    ...{ direction, verdict, peer: name ?? ip },
    ...(name === undefined ? {} : { peerName: name }),
    ...(container === undefined ? {} : { container }),
    ...(process === undefined ? {} : { process }),
    ...(dst.port === undefined ? {} : { port: dst.port }),
    ...(application === undefined ? {} : { application }),
    proto,
  };
}

/** All other kinds of one direction and verdict. */
function restOf({ direction, verdict }: Kind): Kind {
  return { direction, verdict, peer: OTHER, proto: OTHER };
}

function countsOf({ verdict, reason, count, time }: VerdictEvent): EdgeCounts {
  const [first, last] = [Date.parse(time), Date.parse(time)];
  if (verdict === "allowed") return { flows: count, violations: 0, reasons: [], first, last };
  return { flows: 0, violations: count, reasons: [reason], first, last };
}
