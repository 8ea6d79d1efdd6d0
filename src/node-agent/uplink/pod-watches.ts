/**
 * Pods that somebody looks at through the operator. What is seen of them goes up while the operator says so, at the pace
 * that it names; what is beyond that, or what the connection does not take, is counted and reported.
 */
import { create } from "@bufbuild/protobuf";
import type { EventSink } from "../../export/sink.ts";
import { type RecordFilter, recordFilter } from "../../flow/filters/filter.ts";
import { recordMessage, type WatchedRecord } from "../../flow/message.ts";
import type { AgentEvent, LostEvent, VerdictEvent } from "../../flow/record.ts";
import {
  type Observation,
  ObservationSchema,
  ObservationsSchema,
  type Watch,
  type Watches,
  WatchLossSchema,
} from "../../gen/agent_pb.js";
import { message } from "./message.ts";
import type { ReportStream } from "./reports/reporter.ts";

export interface PodWatchesOptions {
  /** Of these pods somebody wants to see first packets of allowed flows; called when they are others than before. */
  onAllowedWanted: (podUids: ReadonlySet<string>) => void;
}

/** An operator that asks for more asks for what no node should carry. */
const WATCHES_MAX = 16;
const RATE_MAX = 1000;
const LEASE_MAX_MS = 120_000;
/** Observations that may wait for the connection. */
const WAITING_MAX = 2000;
const PER_MESSAGE = 200;
const FLUSH_MS = 100;
const SECOND_MS = 1000;

interface ActiveWatch {
  watch: Watch;
  filter: RecordFilter;
  /** When its running second began, and what it has had since. */
  since: number;
  taken: number;
  lost: number;
}

export class PodWatches implements EventSink {
  readonly #options: PodWatchesOptions;
  readonly #watches = new Map<number, ActiveWatch>();
  #waiting: Observation[] = [];
  #stream: ReportStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lease: NodeJS.Timeout | null = null;
  #allowedWanted: ReadonlySet<string> = new Set();

  constructor(options: PodWatchesOptions) {
    this.#options = options;
  }

  /** A stream is there. Nobody looks at anything until the operator says so on it. */
  start(stream: ReportStream): void {
    this.stop();
    this.#stream = stream;
  }

  stop(): void {
    this.#set([]);
    if (this.#lease !== null) clearTimeout(this.#lease);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#stream = null;
    this.#waiting = [];
  }

  /** What the operator wants to see from now on. */
  take({ watches, leaseMilliseconds }: Watches): void {
    if (this.#lease !== null) clearTimeout(this.#lease);
    this.#set(watches.slice(0, WATCHES_MAX));
    if (this.#watches.size === 0) return;
    this.#lease = setTimeout(() => this.#set([]), Math.min(leaseMilliseconds, LEASE_MAX_MS));
  }

  write(event: AgentEvent): void {
    if (this.#watches.size === 0) return;
    if (event.type === "lost") this.#kernelLost(event);
    else if (event.type === "verdict" || event.type === "dns" || event.type === "listen") this.#verdict(event);
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  /** There is room again. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const stream = this.#stream;
    while (stream !== null && !stream.full && this.#hasNews()) {
      const observations = this.#waiting.splice(0, PER_MESSAGE);
      stream.write(
        message({ case: "observations", value: create(ObservationsSchema, { observations, lost: this.#lost() }) }),
      );
    }
  }

  /** A watch that goes on keeps its count. */
  #set(watches: readonly Watch[]): void {
    const before = new Map(this.#watches);
    this.#watches.clear();
    for (const watch of watches) {
      const known = before.get(watch.id);
      this.#watches.set(watch.id, known === undefined ? newWatch(watch) : { ...known, watch, filter: filterOf(watch) });
    }
    const wanted = new Set(watches.filter(({ verdicts }) => verdicts.includes("allowed")).map(({ podUid }) => podUid));
    if (wanted.size === this.#allowedWanted.size && [...wanted].every((uid) => this.#allowedWanted.has(uid))) return;
    this.#allowedWanted = wanted;
    this.#options.onAllowedWanted(wanted);
  }

  #verdict(event: VerdictEvent): void {
    const concerned = [...this.#watches.values()].filter(({ filter }) => filter(event));
    const ids = concerned.filter((active) => this.#admit(active)).map(({ watch }) => watch.id);
    this.#send(event, ids);
  }

  /** Events of which pods is not known: it concerns all who look. */
  #kernelLost(event: LostEvent): void {
    if (event.where === "kernel") this.#send(event, [...this.#watches.keys()]);
  }

  #admit(active: ActiveWatch): boolean {
    const now = performance.now();
    if (now - active.since >= SECOND_MS) Object.assign(active, { since: now, taken: 0 });
    const admitted = active.taken < Math.min(active.watch.rate, RATE_MAX) && this.#waiting.length < WAITING_MAX;
    if (admitted) active.taken += 1;
    else active.lost += 1;
    if (!admitted) this.#flushLater();
    return admitted;
  }

  #send(event: WatchedRecord, watches: number[]): void {
    if (watches.length === 0) return;
    this.#waiting.push(create(ObservationSchema, { watches, record: recordMessage(event) }));
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#stream !== null) this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  #hasNews(): boolean {
    return this.#waiting.length > 0 || [...this.#watches.values()].some(({ lost }) => lost > 0);
  }

  #lost() {
    return [...this.#watches.values()].flatMap((active) => {
      const { watch, lost } = active;
      active.lost = 0;
      return lost === 0 ? [] : [create(WatchLossSchema, { watch: watch.id, count: BigInt(lost) })];
    });
  }
}

function newWatch(watch: Watch): ActiveWatch {
  return { watch, filter: filterOf(watch), since: performance.now(), taken: 0, lost: 0 };
}

/** The message leaves criteria that are not named empty, and its words are checked (message-checks.ts). */
function filterOf({ podUid, verdicts, direction, path, container }: Watch): RecordFilter {
  return recordFilter({
    podUid: [podUid],
    verdict: verdicts,
    ...(direction === "" ? {} : { direction: [direction] }),
    ...(path === "" ? {} : { process: [path] }),
    ...(container === "" ? {} : { container: [container] }),
  });
}
