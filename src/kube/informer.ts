/**
 * A copy of a collection, kept up to date: a list, then a watch from there, again and again. Whatever the API server does
 * (ends watches, breaks them, forgets versions, refuses, goes away), the copy stays as last seen and is mended when it is back.
 */

import type { Logger } from "../telemetry/logger.ts";
import { Backoff, type BackoffOptions } from "../timing/backoff.ts";
import { sleep } from "../timing/sleep.ts";
import { steadyNow } from "../timing/steady-time.ts";
import type { KubeConnection } from "./connection.ts";
import { isGone, retryAfterOf, SilentError } from "./errors.ts";
import { currentVersion, listPages, type Scope } from "./list.ts";
import { type KubeObject, objectKey } from "./resources.ts";
import { watch } from "./watch.ts";

/** A change of one object; null: it was not there before, or is not any more. */
export type ChangeHandler<T> = (key: string, before: T | null, after: T | null) => void;

/** What an informer tells of itself. */
export interface InformerMeter {
  listed(plural: string, objects: number): void;
  watchBroke(plural: string): void;
  /** The API server has gone back to an earlier version: its store was restored from a backup. */
  wentBack(plural: string): void;
}

export interface InformerOptions<T> extends Scope {
  /**
   * What is kept of an object: as little as is needed, because it is kept for all of them. Null: the object does not count.
   */
  transform: (object: KubeObject) => T | null;
  /** Whether two of them differ in anything that matters; by JSON where absent. */
  isSame?: (left: T, right: T) => boolean;
  log: Logger;
  meter?: InformerMeter;
  pageSize?: number;
  backoff?: BackoffOptions;
  /** Milliseconds of silence after which a watch counts as broken. */
  silence?: number;
}

/** No longer: what is changed once the API server is back should not wait for those who had given up. */
const BACKOFF: BackoffOptions = { initial: 200, maximum: 10_000 };
/** Watches end at different times, so that they do not all come back at once. */
const WATCH_SECONDS = 300;
/** Bookmarks come about every minute. Who does not even hear that there is nothing new may be waiting for what never comes. */
const SILENCE_MS = 90_000;
/** A watch that ended sooner counts as a failure, so that a server that ends each at once is not overrun. */
const SHORT_WATCH_MS = 1_000;

export class Informer<T> {
  readonly plural: string;
  readonly #connection: KubeConnection;
  readonly #options: InformerOptions<T>;
  readonly #objects = new Map<string, T>();
  readonly #handlers = new Set<ChangeHandler<T>>();
  readonly #ending = new AbortController();
  readonly #backoff: Backoff;
  readonly #relistBackoff: Backoff;
  readonly #whenSynced = Promise.withResolvers<void>();
  #version: string | null = null;
  #synced = false;
  #lastContact = 0;
  #problem: unknown = null;
  #running: Promise<void> | null = null;

  constructor(connection: KubeConnection, options: InformerOptions<T>) {
    this.plural = options.kind.plural;
    this.#connection = connection;
    this.#options = options;
    this.#backoff = new Backoff(options.backoff ?? BACKOFF);
    this.#relistBackoff = new Backoff(options.backoff ?? BACKOFF);
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  entries(): IterableIterator<[string, T]> {
    return this.#objects.entries();
  }

  get size(): number {
    return this.#objects.size;
  }

  /** Whether the collection has been read once. */
  get isSynced(): boolean {
    return this.#synced;
  }

  /** What is wrong at the moment, null if nothing is. */
  get problem(): unknown {
    return this.#problem;
  }

  /** Milliseconds since the API server was last heard of; infinite before that. */
  get age(): number {
    return this.#lastContact === 0 ? Number.POSITIVE_INFINITY : steadyNow() - this.#lastContact;
  }

  /** Settles when the collection has been read once; never, if it is stopped before. */
  whenSynced(): Promise<void> {
    return this.#whenSynced.promise;
  }

  /**
   * Calls the handler for each object that is there, and for each change from now on. What it throws is logged and goes no
   * further. Returns what ends that.
   */
  subscribe(handler: ChangeHandler<T>): () => void {
    this.#handlers.add(handler);
    for (const [key, object] of this.#objects) this.#call(handler, key, null, object);
    return () => this.#handlers.delete(handler);
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        if (this.#version === null || (await this.#hasGoneBack())) await this.#list();
        await this.#watch();
      } catch (cause) {
        if (signal.aborted) return;
        await this.#recover(cause);
      }
    }
  }

  async #recover(cause: unknown): Promise<void> {
    const { log, meter } = this.#options;
    if (isGone(cause)) {
      this.#version = null;
      log.debug({ err: cause, resource: this.plural }, "the version is no longer kept; listing again");
    } else if (cause instanceof SilentError) {
      this.#version = null;
      log.warn({ resource: this.plural }, `the watch says nothing any more; listing again: ${cause.message}`);
    } else {
      this.#problem = cause;
    }
    meter?.watchBroke(this.plural);
    // Who says that a version is gone is there: how long it was away before is no reason to wait.
    const backoff = isGone(cause) ? this.#relistBackoff : this.#backoff;
    const delay = Math.max(backoff.next(), retryAfterOf(cause) ?? 0);
    // Once says that something is wrong; the health endpoint says for how long.
    const level = backoff.failures === 3 ? "warn" : "debug";
    log[level]({ err: cause, resource: this.plural, retryMs: Math.round(delay) }, "the watch broke; trying again");
    await sleep(delay, this.#ending.signal);
  }

  /**
   * Whether the API server knows less than what was seen of it. A watch from a version that is still to come is silent until it has
   * come, minutes or days later.
   */
  async #hasGoneBack(): Promise<boolean> {
    const version = await currentVersion(this.#connection, this.#options, this.#ending.signal);
    if (!isEarlier(version, this.#version)) return false;
    this.#noteWentBack(version);
    return true;
  }

  #noteWentBack(version: string): void {
    const { log, meter } = this.#options;
    log.error(
      { resource: this.plural, version, seen: this.#version },
      "the API server has gone back to an earlier version, as after a restore from a backup; listing again",
    );
    meter?.wentBack(this.plural);
  }

  async #list(): Promise<void> {
    const { pageSize, log, meter } = this.#options;
    const { signal } = this.#ending;
    const seen = new Map<string, T>();
    const take = (items: KubeObject[]) => {
      for (const item of items) {
        const kept = this.#transform(item);
        if (kept !== null) seen.set(objectKey(item.metadata), kept);
      }
    };
    this.#version = await listPages(this.#connection, this.#options, take, {
      signal,
      ...(pageSize === undefined ? {} : { pageSize }),
    });
    for (const key of [...this.#objects.keys()]) if (!seen.has(key)) this.#change(key, null);
    for (const [key, object] of seen) this.#change(key, object);
    this.#contact();
    meter?.listed(this.plural, seen.size);
    log.debug({ resource: this.plural, objects: seen.size }, "listed");
    this.#synced = true;
    this.#whenSynced.resolve();
  }

  async #watch(): Promise<void> {
    let opened = Number.POSITIVE_INFINITY;
    const events = watch(this.#connection, this.#options, {
      resourceVersion: this.#version ?? "",
      signal: this.#ending.signal,
      seconds: Math.round(WATCH_SECONDS * (1 + Math.random())),
      silence: this.#options.silence ?? SILENCE_MS,
      onOpen: () => {
        opened = steadyNow();
      },
    });
    try {
      for await (const { type, object } of events) {
        this.#contact();
        this.#resetBackoff();
        if (isEarlier(object.metadata.resourceVersion, this.#version)) {
          this.#noteWentBack(object.metadata.resourceVersion ?? "");
          this.#version = null;
          return;
        }
        if (type !== "BOOKMARK") this.#take(type, object);
        this.#version = object.metadata.resourceVersion ?? this.#version;
      }
    } finally {
      // A watch that has lived for a while was none of the failures before, even if there was nothing to tell.
      if (steadyNow() - opened >= SHORT_WATCH_MS) this.#resetBackoff();
    }
    this.#contact();
    if (steadyNow() - opened < SHORT_WATCH_MS) await sleep(this.#backoff.next(), this.#ending.signal);
  }

  #resetBackoff(): void {
    this.#backoff.reset();
    this.#relistBackoff.reset();
  }

  #take(type: "ADDED" | "MODIFIED" | "DELETED", object: KubeObject): void {
    const key = objectKey(object.metadata);
    this.#change(key, type === "DELETED" ? null : this.#transform(object));
  }

  /** An object that cannot be read does not count, and is no reason to lose the others. */
  #transform(object: KubeObject): T | null {
    try {
      return this.#options.transform(object);
    } catch (cause) {
      const key = objectKey(object.metadata);
      this.#options.log.error(
        { err: cause, resource: this.plural, key },
        "an object cannot be read; it does not count",
      );
      return null;
    }
  }

  #change(key: string, after: T | null): void {
    const before = this.#objects.get(key) ?? null;
    if (before === null && after === null) return;
    if (after === null) this.#objects.delete(key);
    else this.#objects.set(key, after);
    if (before !== null && after !== null && this.#isSame(before, after)) return;
    for (const handler of this.#handlers) this.#call(handler, key, before, after);
  }

  #isSame(before: T, after: T): boolean {
    const { isSame } = this.#options;
    return isSame === undefined ? JSON.stringify(before) === JSON.stringify(after) : isSame(before, after);
  }

  #call(handler: ChangeHandler<T>, key: string, before: T | null, after: T | null): void {
    try {
      handler(key, before, after);
    } catch (cause) {
      this.#options.log.error({ err: cause, resource: this.plural, key }, "a handler failed");
    }
  }

  #contact(): void {
    this.#lastContact = steadyNow();
    this.#problem = null;
  }
}

/** Versions are whole numbers that grow; what is none is not compared. */
function isEarlier(version: string | undefined, seen: string | null): boolean {
  const [left, right] = [version, seen].map((text) => (/^[0-9]+$/.test(text ?? "") ? BigInt(text as string) : null));
  return left != null && right != null && left < right;
}
