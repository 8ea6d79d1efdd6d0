/** What one workload's records show of an edge: one of its ends is that workload, the other one a peer. */
import type { Verdict } from "../../api/reasons.ts";
import { peerOf, processName } from "../counting/fields.ts";
import type { Volume } from "../counting/flow-volumes.ts";
import { OTHER } from "../counting/tally.ts";
import type { TrafficEvent, Ways } from "../record.ts";
import {
  addAddresses,
  addCounts,
  type Edge,
  type EdgeCounts,
  type EdgeEnd,
  type EdgeWorkload,
  noCounts,
  noResponses,
  type Responses,
  usesOf,
} from "./edge.ts";

/** What tells the conversations of a workload apart. */
interface Kind {
  direction: TrafficEvent["direction"];
  verdict: Verdict;
  /** Name, or else address. */
  peer: string;
  peerName?: string;
  container?: string;
  process?: string;
  port?: number;
  proto: string;
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

  /** @param volume of a flow's record, what is new in it */
  add(record: TrafficEvent, volume: Volume | null): void {
    const kind = kindOf(record);
    const sight = this.#sight(this.#sights.size < KINDS_MAX || this.#has(kind) ? kind : restOf(kind));
    addAddresses(sight.addresses, [peerOf(record).ip]);
    addCounts(sight.counts, countsOf(record, volume));
  }

  /** All but the most used peers are one. */
  edges(): Edge[] {
    const uses = new Map<string, number>();
    for (const { kind, counts } of this.#sights.values()) {
      uses.set(kind.peer, (uses.get(kind.peer) ?? 0) + usesOf(counts));
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
    const { direction, verdict, peer, peerName, container, process, port, proto } = kind;
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
      ...{ proto, verdict },
      ...counts,
    };
  }
}

function kindOf(record: TrafficEvent): Kind {
  const { direction, verdict, dst, proto } = record;
  const { name, ip } = peerOf(record);
  const process = processName(record);
  const container = record.process?.container;
  return {
    ...{ direction, verdict, peer: name ?? ip },
    ...(name === undefined ? {} : { peerName: name }),
    ...(container === undefined ? {} : { container }),
    ...(process === undefined ? {} : { process }),
    ...(dst.port === undefined ? {} : { port: dst.port }),
    proto,
  };
}

/** All other kinds of one direction and verdict. */
function restOf({ direction, verdict }: Kind): Kind {
  return { direction, verdict, peer: OTHER, proto: OTHER };
}

function countsOf(record: TrafficEvent, volume: Volume | null): EdgeCounts {
  const { verdict, reason, time, application } = record;
  const isAllowed = verdict === "allowed";
  const times = record.type === "flow" ? 0 : record.count;
  return {
    ...{ begun: isAllowed ? times : 0, counted: volume?.isNew === true && isAllowed ? 1 : 0 },
    ...{ violations: isAllowed ? 0 : times, reasons: isAllowed ? [] : [reason] },
    waited: responses(record.direction === "egress" ? volume : null),
    served: responses(record.direction === "ingress" ? volume : null),
    packets: byClient(record, volume?.packets),
    bytes: byClient(record, volume?.bytes),
    applications: application === undefined ? [] : [application],
    first: Date.parse(record.type === "flow" ? record.start : time),
    last: Date.parse(time),
  };
}

function responses(volume: Volume | null): Responses {
  const time = volume?.responseNs ?? null;
  return time === null ? noResponses() : { count: 1, sumNs: time, maxNs: time };
}

/** A workload counts what it sends itself, also where it was asked. */
function byClient({ direction }: TrafficEvent, ways: Ways<number> = { sent: 0, received: 0 }): Ways<number> {
  return direction === "egress" ? ways : { sent: ways.received, received: ways.sent };
}
