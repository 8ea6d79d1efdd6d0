/**
 * Events on objects, for `kubectl describe` and `kubectl get events`. The same thing again raises the count of its event, which
 * is written at intervals; each object has a limited number of them, each source of events and each namespace has, and all together too. What is
 * left out is counted.
 */

import { randomBytes } from "node:crypto";
import { printable } from "../api/printable.ts";
import type { Logger } from "../telemetry/logger.ts";
import { steadyNow } from "../timing/steady-time.ts";
import { TokenBucket } from "../timing/token-bucket.ts";
import type { KubeConnection } from "./connection.ts";
import { isNotFound } from "./errors.ts";
import { apiVersionOf, collectionPath, EVENTS, objectPath } from "./resources.ts";

/** What an event is about. */
export interface ObjectReference {
  apiVersion: string;
  kind: string;
  namespace: string;
  name: string;
  uid: string;
}

export interface RecordedEvent {
  regarding: ObjectReference;
  related?: ObjectReference;
  type: "Normal" | "Warning";
  /** CamelCase, e.g. `PolicyViolation`. */
  reason: string;
  /** What was done, CamelCase, e.g. `Drop`. */
  action: string;
  /** For people; what others have chosen in it is made printable. Events of one object with the same reason, action and note are one event with a count. */
  note: string;
  count?: number;
  /** Who reports it, a node for one: each source has a share of all events, so that it leaves room for the others'. None: the operator itself. */
  source?: string;
}

export interface RecorderOptions {
  /** Name of the component, e.g. `security.datadoghq.com/portcullis-operator`. */
  controller: string;
  instance: string;
  log: Logger;
  /** Called when an event is left out. */
  onSuppressed?: (count: number) => void;
  /** For tests. */
  flushInterval?: number;
}

interface Series {
  event: RecordedEvent;
  /** Name of the object in the API; null before it is made. */
  name: string | null;
  first: Date;
  last: Date;
  /** When `last` was, by a clock that nobody sets. */
  touched: number;
  count: number;
  written: number;
}

/** Events of one object: this many at once, and one more each minute. */
const OBJECT_BURST = 10;
const OBJECT_PER_SECOND = 1 / 60;
/** Events that are one source's word, or of one namespace's objects, and writes of their counts. */
const SHARE_BURST = 25;
const SHARE_PER_SECOND = 1;
/** All events: the API server has other things to do. */
const TOTAL_BURST = 100;
const TOTAL_PER_SECOND = 10;
/** Counts are written this often. */
const FLUSH_MS = 10_000;
/** A series that nothing was added to for so long is over; the next one is a new event. */
const SERIES_MS = 6 * 60_000;
const MAX_SERIES = 10_000;
/** The API's limit on notes, in bytes. */
const MAX_NOTE_BYTES = 1024;
/** And on counts: 32 bits. */
const COUNT_MAX = 2 ** 31 - 1;

export class EventRecorder {
  readonly #connection: KubeConnection;
  readonly #options: RecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #objects = new Map<string, TokenBucket>();
  /** Of sources and namespaces. */
  readonly #shares = new Map<string, TokenBucket>();
  readonly #total = new TokenBucket(TOTAL_BURST, TOTAL_PER_SECOND);
  readonly #timer: NodeJS.Timeout;
  #flushing: Promise<void> = Promise.resolve();

  constructor(connection: KubeConnection, options: RecorderOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#timer = setInterval(() => this.#flushLater(), options.flushInterval ?? FLUSH_MS);
    this.#timer.unref();
  }

  /** Records an event. Never fails, and never waits. */
  record(event: RecordedEvent): void {
    const note = shortened(printable(event.note));
    const { regarding, reason, action, count = 1 } = event;
    const key = JSON.stringify([regarding.uid, regarding.name, reason, action, note]);
    const now = new Date();
    const known = this.#series.get(key);
    if (known !== undefined) {
      known.count = Math.min(known.count + count, COUNT_MAX);
      known.last = now;
      known.touched = steadyNow();
      return;
    }
    if (this.#series.size >= MAX_SERIES || !this.#mayWrite(event)) {
      this.#options.onSuppressed?.(count);
      return;
    }
    this.#series.set(key, {
      event: { ...event, note },
      name: null,
      first: now,
      last: now,
      touched: steadyNow(),
      count,
      written: 0,
    });
    this.#flushLater();
  }

  /** Writes what there is to write. */
  async flush(): Promise<void> {
    this.#flushLater();
    await this.#flushing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  /** A new event; it counts if so. */
  #mayWrite(event: RecordedEvent): boolean {
    const object = bucketOf(this.#objects, event.regarding.uid, OBJECT_BURST, OBJECT_PER_SECOND);
    return object.has() && this.#takePlace(event) && object.take();
  }

  /** A place among a source's events, among those of a namespace, and among all. */
  #takePlace({ regarding: { namespace }, source }: RecordedEvent): boolean {
    const names = [`namespace ${namespace}`, ...(source === undefined ? [] : [`source ${source}`])];
    const shares = names.map((name) => bucketOf(this.#shares, name, SHARE_BURST, SHARE_PER_SECOND));
    if (!shares.every((share) => share.has()) || !this.#total.take()) return false;
    for (const share of shares) share.take();
    return true;
  }

  #flushLater(): void {
    this.#flushing = this.#flushing.then(() => this.#flush());
  }

  async #flush(): Promise<void> {
    const now = steadyNow();
    for (const [key, series] of this.#series) {
      const isNew = series.name === null;
      const isDue = isNew || (series.count > series.written && now - series.touched < SERIES_MS);
      if (isDue && (isNew || this.#takePlace(series.event))) await this.#write(key, series);
      if (now - series.touched > SERIES_MS) this.#series.delete(key);
    }
    for (const buckets of [this.#objects, this.#shares]) {
      for (const [name, bucket] of buckets) if (bucket.isFull()) buckets.delete(name);
    }
  }

  async #write(key: string, series: Series): Promise<void> {
    const { count } = series;
    const { namespace } = series.event.regarding;
    try {
      if (series.name === null) await this.#create(series);
      else if (count > series.written) await this.#update(series, namespace);
      series.written = count;
    } catch (cause) {
      if (isNotFound(cause) && series.name !== null) series.name = null;
      else {
        this.#series.delete(key);
        this.#options.onSuppressed?.(count - series.written);
        this.#options.log.warn({ err: cause, reason: series.event.reason }, "an event could not be written");
      }
    }
  }

  async #create(series: Series): Promise<void> {
    const { regarding, related, type, reason, action, note } = series.event;
    // A name that is cut may end in what no part of a name ends in (RFC 1123).
    const name = `${regarding.name.slice(0, 200).replace(/[^a-z0-9]+$/, "")}.${randomBytes(8).toString("hex")}`;
    const body = {
      apiVersion: apiVersionOf(EVENTS),
      kind: EVENTS.kind,
      metadata: { name, namespace: regarding.namespace },
      eventTime: microTime(series.first),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, 128),
      regarding,
      ...(related === undefined ? {} : { related }),
      type,
      reason,
      action,
      note,
      ...(series.count > 1 ? { series: seriesOf(series) } : {}),
    };
    await this.#connection.request("POST", collectionPath(EVENTS, regarding.namespace), { body });
    series.name = name;
  }

  async #update(series: Series, namespace: string): Promise<void> {
    await this.#connection.request("PATCH", objectPath(EVENTS, namespace, series.name ?? ""), {
      contentType: "application/merge-patch+json",
      body: { series: seriesOf(series) },
    });
  }
}

function bucketOf(buckets: Map<string, TokenBucket>, name: string, burst: number, perSecond: number): TokenBucket {
  const bucket = buckets.get(name) ?? new TokenBucket(burst, perSecond);
  buckets.set(name, bucket);
  return bucket;
}

function seriesOf({ count, last }: Series): { count: number; lastObservedTime: string } {
  return { count: Math.max(count, 2), lastObservedTime: microTime(last) };
}

/** As metav1.MicroTime has it. */
function microTime(date: Date): string {
  return date.toISOString().replace(/Z$/, "000Z");
}

function shortened(note: string): string {
  const bytes = Buffer.from(note);
  if (bytes.length <= MAX_NOTE_BYTES) return note;
  // Cutting may split a character; what is left of it is dropped.
  return `${bytes
    .subarray(0, MAX_NOTE_BYTES - 3)
    .toString()
    .replace(/\uFFFD+$/, "")}...`;
}
