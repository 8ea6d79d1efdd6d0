/** The profiles' thread: reads, validates and compiles, so that nothing that must not wait shares a thread with that. */
import { setImmediate } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { causeText } from "../../api/errors.ts";
import { KubeConnection } from "../../kube/connection.ts";
import { isNotFound } from "../../kube/errors.ts";
import { Informer } from "../../kube/informer.ts";
import { type KubeObject, objectPath, splitKey } from "../../kube/resources.ts";
import { WorkQueue } from "../../kube/work-queue.ts";
import { createLogger } from "../../telemetry/logger.ts";
import { SECURITY_PROFILES } from "../cluster/kinds.ts";
import { Budgets } from "./budget.ts";
import { Compiler } from "./compiler.ts";
import { isSameRevision, type ProfileMetadata, profileMetadata } from "./draft.ts";
import type { CompileOrder, FromProfileThread, ProfileThreadData, ReadStatus, ToProfileThread } from "./messages.ts";
import type { ProfileStatus } from "./profile-status.ts";
import { ValidatedProfiles } from "./validated-profiles.ts";

/** How often the main thread learns how the watch does. */
const STATE_MS = 1_000;
const SWEEP_MS = 60_000;

/**
 * One profile is read after the other: a large one takes long to parse and validate, and no more than one is to be in the way of another
 * namespace's edit. For those that are there at the start so many more are read at once, as each waits for the API server.
 */
const FIRST_HELPERS = 3;

/**
 * What took so many milliseconds has held others up: its namespace rests as long again. An edit takes two turns, one to be read and one to be
 * compiled, and beside a namespace that keeps the thread busy it waits before the first only.
 */
const LONG_MS = 20;

/** What waits for its turn: profiles by their keys, orders by `compile <id>`. */
const COMPILE = "compile ";

class ProfileWorker {
  readonly #connection: KubeConnection;
  readonly #queue: WorkQueue;
  readonly #orders = new Map<string, CompileOrder>();
  readonly #profiles: ValidatedProfiles;
  readonly #compiler: Compiler;
  readonly #informer: Informer<ProfileMetadata>;
  readonly #timers: NodeJS.Timeout[];
  /** Profiles of the first list that are still to be looked at. */
  #first = new Set<string>();
  #listed = false;

  constructor(connection: KubeConnection, { budget }: ProfileThreadData) {
    this.#connection = connection;
    // Namespaces take turns, whatever it is that they want.
    this.#queue = new WorkQueue(undefined, (key) => this.#namespaceOf(key));
    const budgets = new Budgets(budget);
    const log = createLogger({ level: "debug", format: "json", write: (line) => post({ type: "log", line }) });
    this.#profiles = new ValidatedProfiles({
      budgets,
      enqueue: (key, after = 0) => (after === 0 ? this.#queue.add(key) : this.#queue.addAfter(key, after)),
      onProfile: (key, profile) => post({ type: "profile", key, profile }),
      read: (key) => this.#read(key),
    });
    this.#compiler = new Compiler((key) => this.#profiles.accepted(key));
    this.#informer = new Informer(connection, {
      kind: SECURITY_PROFILES,
      metadataOnly: true,
      log,
      transform: profileMetadata,
      isSame: isSameRevision,
      meter: {
        listed: () => {},
        watchBroke: () => post({ type: "watchBroke" }),
        wentBack: () => post({ type: "wentBack" }),
      },
    });
    this.#informer.subscribe((key, _, metadata) => {
      if (!this.#listed) this.#first.add(key);
      this.#profiles.changed(key, metadata);
    });
    this.#timers = [setInterval(() => this.#postState(), STATE_MS), setInterval(() => budgets.sweep(), SWEEP_MS)];
  }

  start(): void {
    this.#informer.start();
    void this.#informer.whenSynced().then(() => {
      this.#listed = true;
      this.#postState();
      for (let helper = 0; helper < FIRST_HELPERS; helper += 1) void this.#help();
    });
    void this.#work();
  }

  take(message: ToProfileThread): void {
    if (message.type === "status") void this.#readStatus(message.id, message.key);
    else if (message.type === "forget") this.#compiler.forget(message.policy);
    else if (message.type === "letGo") this.#profiles.letGo(message.key);
    else if (message.type === "stop") void this.#stop();
    else {
      const key = `${COMPILE}${message.id}`;
      this.#orders.set(key, message.order);
      this.#queue.add(key);
    }
  }

  async #stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#queue.close();
    await this.#informer.stop();
    this.#connection.close();
    parentPort?.close();
  }

  async #work(): Promise<void> {
    for (let key = await this.#queue.take(); key !== null; key = await this.#queue.take()) await this.#look(key);
  }

  /** Until nothing waits any more. */
  async #help(): Promise<void> {
    for (let key = this.#queue.takeNow(); key !== null; key = this.#queue.takeNow()) await this.#look(key);
  }

  async #look(key: string): Promise<void> {
    const namespace = this.#namespaceOf(key);
    const start = performance.now();
    if (key.startsWith(COMPILE)) this.#compile(key);
    else await this.#reconcile(key);
    const spent = performance.now() - start;
    if (this.#first.size === 0 && spent > LONG_MS) this.#queue.rest(namespace, spent);
    this.#queue.done(key);
    // Messages, and what the API server sends, come in between.
    await setImmediate();
  }

  async #reconcile(key: string): Promise<void> {
    try {
      await this.#profiles.reconcile(key);
      this.#queue.forget(key);
    } catch (cause) {
      const delay = this.#queue.retry(key);
      postLog("error", { profile: key, retryMs: Math.round(delay) }, `a profile cannot be read: ${causeText(cause)}`);
    }
    if (this.#first.delete(key) && this.#first.size === 0) this.#postState();
  }

  async #readStatus(id: number, key: string): Promise<void> {
    try {
      const object = await this.#read(key);
      post({ type: "status", id, status: object === null ? null : statusOf(object) });
    } catch (cause) {
      post({ type: "failed", id, message: causeText(cause) });
    }
  }

  #compile(key: string): void {
    const order = this.#orders.get(key) as CompileOrder;
    this.#orders.delete(key);
    const id = Number(key.slice(COMPILE.length));
    try {
      const result = this.#compiler.compile(order);
      const bytes =
        result.table === null ? [] : [result.table.content, ...result.table.rulesets.map((one) => one.content)];
      post(
        { type: "compiled", id, result },
        bytes.flatMap((one) => (one === null ? [] : [one.buffer])),
      );
    } catch (cause) {
      post({ type: "failed", id, message: causeText(cause) });
    }
  }

  #namespaceOf(key: string): string {
    const profile = key.startsWith(COMPILE) ? this.#orders.get(key)?.profiles[0] : key;
    return splitKey(profile ?? "").namespace;
  }

  async #read(key: string): Promise<KubeObject | null> {
    const { namespace, name } = splitKey(key);
    try {
      return (await this.#connection.request("GET", objectPath(SECURITY_PROFILES, namespace, name))) as KubeObject;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }

  #postState(): void {
    const { size, age, problem } = this.#informer;
    const state = {
      size,
      isSynced: this.#listed && this.#first.size === 0,
      age,
      problem: problem === null ? null : causeText(problem),
    };
    post({ type: "state", state });
  }
}

function statusOf({ metadata, status }: KubeObject): ReadStatus {
  return { uid: metadata.uid ?? "", status: (status ?? {}) as Partial<ProfileStatus> };
}

function post(message: FromProfileThread, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function postLog(level: "error", fields: object, message: string): void {
  const log = createLogger({ level: "debug", format: "json", write: (line) => post({ type: "log", line }) });
  log[level](fields, message);
}

const data = workerData as ProfileThreadData;
const worker = new ProfileWorker(await KubeConnection.again(data.origin), data);
parentPort?.on("message", (message: ToProfileThread) => worker.take(message));
worker.start();
