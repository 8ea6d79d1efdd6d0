/**
 * Pods that somebody observes through the operator. What is seen of them is sent while the operator asks for it, at the pace
 * that it names; what is beyond that, or what the stream does not take, is counted and reported.
 */
import { create } from "@bufbuild/protobuf";
import type { EventSink } from "../../export/sink.ts";
import { recordFilter } from "../../flow/filters/filter.ts";
import type { RecordFilter } from "../../flow/filters/record-filter.ts";
import { recordMessage, type WatchedRecord } from "../../flow/message.ts";
import type { AgentEvent, LostEvent, VerdictEvent } from "../../flow/record.ts";
import {
  type Observation,
  ObservationSchema,
  ObservationsSchema,
  type Subscription,
  SubscriptionLossSchema,
  type Subscriptions,
  type TelemetryReport,
  TelemetryReportSchema,
} from "../../gen/telemetry_pb.js";
import type { ReportStream } from "./reports/reporter.ts";

export interface RecordSubscriptionsOptions {
  /** Of these pods somebody wants to see first packets of allowed flows; called when they are others than before. */
  onAllowedWanted: (podUids: ReadonlySet<string>) => void;
}

/** An operator that asks for more asks for what no node should carry. */
const SUBSCRIPTIONS_MAX = 16;
const RATE_MAX = 1000;
const LEASE_MAX_MS = 120_000;
/** Observations that may wait for the connection. */
const WAITING_MAX = 2000;
const PER_MESSAGE = 200;
const FLUSH_MS = 100;
const SECOND_MS = 1000;

interface ActiveSubscription {
  subscription: Subscription;
  filter: RecordFilter;
  /** When its running second began, and what it has had since. */
  since: number;
  taken: number;
  lost: number;
}

export class RecordSubscriptions implements EventSink {
  readonly #options: RecordSubscriptionsOptions;
  readonly #active = new Map<number, ActiveSubscription>();
  #waiting: Observation[] = [];
  #stream: ReportStream<TelemetryReport> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #lease: NodeJS.Timeout | null = null;
  #allowedWanted: ReadonlySet<string> = new Set();

  constructor(options: RecordSubscriptionsOptions) {
    this.#options = options;
  }

  /** A stream is there. Nobody observes anything until the operator says so on it. */
  start(stream: ReportStream<TelemetryReport>): void {
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

  /** What the operator subscribes to from now on. */
  take({ subscriptions, leaseMilliseconds }: Subscriptions): void {
    if (this.#lease !== null) clearTimeout(this.#lease);
    this.#set(subscriptions.slice(0, SUBSCRIPTIONS_MAX));
    if (this.#active.size === 0) return;
    this.#lease = setTimeout(() => this.#set([]), Math.min(leaseMilliseconds, LEASE_MAX_MS));
  }

  write(event: AgentEvent): void {
    if (this.#active.size === 0) return;
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
      const value = create(ObservationsSchema, { observations, lost: this.#lost() });
      stream.write(create(TelemetryReportSchema, { message: { case: "observations", value } }));
    }
  }

  /** A subscription that goes on keeps its count. */
  #set(subscriptions: readonly Subscription[]): void {
    const before = new Map(this.#active);
    this.#active.clear();
    for (const subscription of subscriptions) {
      const counts = before.get(subscription.id) ?? { since: performance.now(), taken: 0, lost: 0 };
      this.#active.set(subscription.id, { ...counts, subscription, filter: filterOf(subscription) });
    }
    const allowed = subscriptions.filter(({ verdicts }) => verdicts.includes("allowed"));
    const wanted = new Set(allowed.map(({ podUid }) => podUid));
    if (wanted.size === this.#allowedWanted.size && [...wanted].every((uid) => this.#allowedWanted.has(uid))) return;
    this.#allowedWanted = wanted;
    this.#options.onAllowedWanted(wanted);
  }

  #verdict(event: VerdictEvent): void {
    const concerned = [...this.#active.values()].filter(({ filter }) => filter(event));
    const ids = concerned.filter((active) => this.#admit(active)).map(({ subscription }) => subscription.id);
    this.#send(event, ids);
  }

  /** Events of which pods is not known: it concerns all who observe. */
  #kernelLost(event: LostEvent): void {
    if (event.where === "kernel") this.#send(event, [...this.#active.keys()]);
  }

  #admit(active: ActiveSubscription): boolean {
    const now = performance.now();
    if (now - active.since >= SECOND_MS) Object.assign(active, { since: now, taken: 0 });
    const admitted = active.taken < Math.min(active.subscription.rate, RATE_MAX) && this.#waiting.length < WAITING_MAX;
    if (admitted) active.taken += 1;
    else active.lost += 1;
    if (!admitted) this.#flushLater();
    return admitted;
  }

  #send(event: WatchedRecord, subscriptions: number[]): void {
    if (subscriptions.length === 0) return;
    this.#waiting.push(create(ObservationSchema, { subscriptions, record: recordMessage(event) }));
    this.#flushLater();
  }

  #flushLater(): void {
    if (this.#stream !== null) this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS);
  }

  #hasNews(): boolean {
    return this.#waiting.length > 0 || [...this.#active.values()].some(({ lost }) => lost > 0);
  }

  #lost() {
    return [...this.#active.values()].flatMap((active) => {
      const { subscription, lost } = active;
      active.lost = 0;
      return lost === 0 ? [] : [create(SubscriptionLossSchema, { subscription: subscription.id, count: BigInt(lost) })];
    });
  }
}

/** The message leaves criteria that are not named empty, and its words are checked (message-checks.ts). */
function filterOf({ podUid, verdicts, direction, path, container }: Subscription): RecordFilter {
  return recordFilter({
    podUid: [podUid],
    verdict: verdicts,
    ...(direction === "" ? {} : { direction: [direction] }),
    ...(path === "" ? {} : { process: [path] }),
    ...(container === "" ? {} : { container: [container] }),
  });
}
