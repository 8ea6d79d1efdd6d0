/** Who is on top: views of records, each counted by a key of its own, beside one more field where it is asked for. */
import {
  type AgentEvent,
  type DnsPart,
  type FlowEvent,
  isTraffic,
  type TrafficEvent,
  type VerdictEvent,
} from "../record.ts";
import { type FieldName, fieldOf, peerOf, serviceOf } from "./fields.ts";
import { FlowVolumes } from "./flow-volumes.ts";
import { Tally, type TallyRow } from "./tally.ts";

export const TOP_VIEWS = ["talkers", "names", "dns", "errors"] as const;
export type TopView = (typeof TOP_VIEWS)[number];
/** Fields that views can be parted by. */
export const TOP_FIELDS = [
  "pod",
  "workload",
  "namespace",
  "container",
  "process",
  "node",
  "service",
  "peer",
] as const satisfies FieldName[];
export type TopField = (typeof TOP_FIELDS)[number];

/**
 * What is counted from two kinds of records, of which either may be missing: flows by their first packets (`begun`) and by their own records
 * (`counted`), questions by all of them under trace-dns (`traced`) and by those that began a flow (`first`).
 */
const MEASURES = [
  ...(["begun", "counted", "packets", "bytes"] as const),
  ...(["traced", "first", "answers", "nxdomain", "failures", "violations"] as const),
] as const;
type Measure = (typeof MEASURES)[number];
type Counts = Partial<Record<Measure, number>>;

interface View {
  /** Names of the key's parts. */
  key: readonly string[];
  /** What is shown, the first by which the rows are ordered. */
  shown: readonly string[];
  /** Null: the view does not count this record. */
  read(record: TrafficEvent): { key: readonly string[]; counts: Counts } | null;
}

const VIEWS: Readonly<Record<TopView, View>> = {
  talkers: {
    key: [],
    shown: ["bytes", "packets", "flows", "violations"],
    read: (record) => (isOfFlow(record) ? { key: [], counts: flowCounts(record) } : null),
  },
  names: {
    key: ["name"],
    shown: ["flows", "questions", "bytes", "violations"],
    read: (record) => {
      const { name } = peerOf(record);
      if (isOfDns(record)) return { key: [record.dns.name], counts: questionCounts(record) };
      return name === undefined || !isOfFlow(record) ? null : { key: [name], counts: flowCounts(record) };
    },
  },
  dns: {
    key: ["name", "type"],
    shown: ["questions", "answers", "nxdomain", "failures", "violations"],
    read: (record) => {
      if (!isOfDns(record)) return null;
      return { key: [record.dns.name, record.dns.type], counts: questionCounts(record) };
    },
  },
  errors: {
    key: ["error", "peer", "service"],
    shown: ["times"],
    read: (record) => {
      if (record.type === "flow") return null;
      const error = errorOf(record);
      if (error === null) return null;
      const peer = record.dns?.name ?? peerOf(record).name ?? peerOf(record).ip;
      return { key: [error, peer, serviceOf(record)], counts: { failures: record.count } };
    },
  },
};

export interface TopRow {
  /** Names and values, in the order of columns. */
  key: readonly [string, string][];
  counts: readonly [string, number][];
}

export class Top {
  readonly #view: View;
  readonly #field: TopField | null;
  readonly #tally = new Tally(MEASURES);
  readonly #volumes: FlowVolumes;

  /**
   * @param field null: of all together
   * @param since ms since 1970: what flows had before is not counted
   */
  constructor(view: TopView, field: TopField | null, since?: number) {
    this.#view = VIEWS[view];
    this.#field = field;
    this.#volumes = new FlowVolumes(since);
  }

  add(record: AgentEvent): void {
    const read = isTraffic(record) ? this.#view.read(record) : null;
    if (read === null) return;
    const part = this.#field === null ? [] : [fieldOf(record, this.#field) ?? "-"];
    this.#tally.add([...part, ...read.key], record.type === "flow" ? this.#volumeOf(record) : read.counts);
  }

  #volumeOf(record: FlowEvent): Counts {
    const { isNew, packets, bytes } = this.#volumes.added(record);
    const counted = isNew && record.verdict === "allowed" ? 1 : 0;
    return { counted, packets: packets.sent + packets.received, bytes: bytes.sent + bytes.received };
  }

  /** The first rows, by what the view shows first. */
  rows(limit: number): TopRow[] {
    const names = [...(this.#field === null ? [] : [this.#field]), ...this.#view.key];
    const rows = this.#tally.rows([]).map((row) => ({
      key: row.key.map((value, index): [string, string] => [names[index] ?? "", value]),
      counts: this.#view.shown.map((name): [string, number] => [name, shownCount(row, name)]),
    }));
    return rows.sort((one, other) => compareCounts(one.counts, other.counts)).slice(0, limit);
  }
}

function shownCount({ counts }: TallyRow<Measure>, name: string): number {
  if (name === "flows") return Math.max(counts.begun, counts.counted);
  if (name === "questions") return Math.max(counts.traced, counts.first);
  if (name === "times") return counts.failures;
  return counts[name as Measure];
}

/** Array.sort is stable: what is equal stays in the order of its keys. */
function compareCounts(one: TopRow["counts"], other: TopRow["counts"]): number {
  for (const [index, [, count]] of one.entries()) {
    const difference = (other[index]?.[1] ?? 0) - count;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The first packet of a flow, a violation, or what passed of a flow: traced DNS messages are of flows that are counted without them. */
function isOfFlow({ type }: TrafficEvent): boolean {
  return type === "verdict" || type === "flow";
}

function isOfDns(record: TrafficEvent): record is VerdictEvent & { dns: DnsPart } {
  return record.type !== "flow" && record.dns !== undefined;
}

/** Of a flow's own record, its volume is counted instead. */
function flowCounts(record: TrafficEvent): Counts {
  if (record.type === "flow") return {};
  return record.verdict === "allowed" ? { begun: record.count } : { violations: record.count };
}

function questionCounts({ type, verdict, dns, count }: VerdictEvent): Counts {
  if (verdict !== "allowed") return { violations: count };
  if (dns?.rcode === undefined) return type === "dns" ? { traced: count } : { first: count };
  if (dns.rcode === "NOERROR") return { answers: count };
  return dns.rcode === "NXDOMAIN" ? { answers: count, nxdomain: count } : { answers: count, failures: count };
}

/** Why something was refused, would have been, or failed; null: nothing was. */
function errorOf({ type, verdict, reason, dns }: VerdictEvent): string | null {
  if (verdict !== "allowed") return `${verdict} ${reason}`;
  return type === "dns" && dns?.rcode !== undefined && dns.rcode !== "NOERROR" ? dns.rcode : null;
}
