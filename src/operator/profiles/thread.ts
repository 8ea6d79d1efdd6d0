/**
 * The profiles' thread, as the main thread sees it. Should it end, for want of memory for instance, what is in force stays so, and it is
 * started again: agents, the Lease and the probes are none of its affairs.
 */
import { Worker } from "node:worker_threads";
import { causeText, PortcullisError } from "../../api/errors.ts";
import type { ConnectionOrigin } from "../../kube/connection.ts";
import type { InformerMeter } from "../../kube/informer.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { Backoff } from "../../timing/backoff.ts";
import { steadyNow } from "../../timing/steady-time.ts";
import { SECURITY_PROFILES } from "../cluster/kinds.ts";
import type { BudgetLimits } from "./budget.ts";
import type {
  CompileOrder,
  CompileResult,
  FromProfileThread,
  InformerState,
  ProfileThreadData,
  ReadStatus,
  ToProfileThread,
} from "./messages.ts";
import type { StoredProfile } from "./stored-profile.ts";

export interface ProfileThreadOptions {
  origin: ConnectionOrigin;
  budget: BudgetLimits;
  /** MiB of JavaScript heap that the thread may have. */
  heap: number;
  log: Logger;
  meter?: InformerMeter;
  /** The thread has ended unasked. */
  onEnded?: () => void;
}

/** The profiles' thread has ended with the work undone. Code PC_PROFILE_THREAD. */
export class ProfileThreadError extends PortcullisError {
  constructor(message: string) {
    super("PC_PROFILE_THREAD", message);
  }
}

interface Waiting {
  settle: (answer: never) => void;
  fail: (cause: Error) => void;
}

const UNKNOWN: InformerState = { size: 0, isSynced: false, age: Number.POSITIVE_INFINITY, problem: null };
const RESTART = { initial: 500, maximum: 30_000 };

export class ProfileThread {
  readonly plural = SECURITY_PROFILES.plural;
  readonly #options: ProfileThreadOptions;
  readonly #profiles = new Map<string, StoredProfile>();
  readonly #handlers = new Set<(key: string) => void>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #whenSynced = Promise.withResolvers<void>();
  readonly #backoff = new Backoff(RESTART);
  #worker: Worker | null = null;
  #restart: NodeJS.Timeout | null = null;
  #state = UNKNOWN;
  #stateAt = steadyNow();
  /** Keys that the thread has reported since it was started. */
  #seen = new Set<string>();
  #asked = 0;
  #stopping = false;

  constructor(options: ProfileThreadOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#state.size;
  }

  get isSynced(): boolean {
    return this.#state.isSynced;
  }

  get problem(): Error | null {
    return this.#state.problem === null ? null : new ProfileThreadError(this.#state.problem);
  }

  /** Milliseconds since the API server was last heard of; infinite before that. */
  get age(): number {
    return this.#state.age + steadyNow() - this.#stateAt;
  }

  get(key: string): StoredProfile | undefined {
    return this.#profiles.get(key);
  }

  /** Settles when all profiles have been read and looked at once. */
  whenSynced(): Promise<void> {
    return this.#whenSynced.promise;
  }

  /** Calls the handler for each change from now on. */
  subscribe(handler: (key: string) => void): void {
    this.#handlers.add(handler);
  }

  start(): void {
    const { origin, budget, heap } = this.#options;
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      name: "profiles",
      workerData: { origin, budget } satisfies ProfileThreadData,
      resourceLimits: { maxOldGenerationSizeMb: heap, maxYoungGenerationSizeMb: 16 },
    });
    this.#worker = worker;
    this.#seen = new Set();
    worker.on("message", (message: FromProfileThread) => this.#take(message));
    worker.on("error", (cause) => {
      this.#options.log.error({}, `the profiles' thread has ended; starting it again: ${causeText(cause)}`);
    });
    worker.on("exit", () => this.#ended(worker));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === null) return;
    const gone = new Promise((settle) => worker.once("exit", settle));
    worker.postMessage({ type: "stop" });
    await gone;
  }

  /**
   * Compiles a table.
   * @throws ProfileThreadError if the thread has ended, or cannot do it
   */
  compile(order: CompileOrder): Promise<CompileResult> {
    return this.#ask((id) => ({ type: "compile", id, order }));
  }

  /**
   * The status that a profile has at this moment, of the API server; null if the profile is gone.
   * @throws ProfileThreadError if the thread has ended, or the API server does not answer
   */
  readStatus(key: string): Promise<ReadStatus | null> {
    return this.#ask((id) => ({ type: "status", id, key }));
  }

  /** What was compiled for the policy need not be remembered. */
  forget(policy: string): void {
    this.#worker?.postMessage({ type: "forget", policy });
  }

  /** A profile that is gone is not to stay in force: what it said is not needed any more. */
  letGo(key: string): void {
    this.#worker?.postMessage({ type: "letGo", key });
  }

  #take(message: FromProfileThread): void {
    switch (message.type) {
      case "profile":
        this.#seen.add(message.key);
        this.#change(message.key, message.profile);
        return;
      case "compiled":
        this.#answered(message.id)?.settle(message.result as never);
        return;
      case "status":
        this.#answered(message.id)?.settle(message.status as never);
        return;
      case "failed":
        this.#answered(message.id)?.fail(new ProfileThreadError(message.message));
        return;
      case "state":
        this.#notifyState(message.state);
        return;
      case "watchBroke":
        this.#options.meter?.watchBroke(this.plural);
        return;
      case "wentBack":
        this.#options.meter?.wentBack(this.plural);
        return;
      case "log":
        this.#log(message.line);
    }
  }

  #ask<Answer>(message: (id: number) => ToProfileThread): Promise<Answer> {
    const worker = this.#worker;
    if (worker === null) return Promise.reject(new ProfileThreadError("the profiles' thread is being started again"));
    this.#asked += 1;
    const id = this.#asked;
    return new Promise<Answer>((settle, fail) => {
      this.#waiting.set(id, { settle: settle as Waiting["settle"], fail });
      worker.postMessage(message(id));
    });
  }

  #answered(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  #change(key: string, profile: StoredProfile | null): void {
    if (profile === null) this.#profiles.delete(key);
    else this.#profiles.set(key, profile);
    for (const handler of this.#handlers) handler(key);
  }

  #notifyState(state: InformerState): void {
    const isFirst = state.isSynced && !this.#state.isSynced;
    this.#state = state;
    this.#stateAt = steadyNow();
    if (!isFirst) return;
    this.#backoff.reset();
    // Those that went while the thread was away.
    for (const key of [...this.#profiles.keys()]) if (!this.#seen.has(key)) this.#change(key, null);
    this.#whenSynced.resolve();
  }

  #ended(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#state = { ...this.#state, isSynced: false };
    const cause = new ProfileThreadError("the profiles' thread has ended; what was to be compiled is tried again");
    for (const { fail } of this.#waiting.values()) fail(cause);
    this.#waiting.clear();
    if (this.#stopping) return;
    this.#options.onEnded?.();
    this.#restart = setTimeout(() => this.start(), this.#backoff.next());
  }

  /** The thread's log lines are this program's. */
  #log(line: string): void {
    const { level, time: _, msg, ...fields } = JSON.parse(line) as { level: number; time: string; msg: string };
    const name = ({ 20: "debug", 30: "info", 40: "warn" } as const)[level as 20] ?? "error";
    this.#options.log[name](fields, msg);
  }
}
