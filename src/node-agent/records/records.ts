/**
 * The records of a node, as the rest of the agent sees them: where events go to be kept, asked for and exported. The work is done in a thread of its own
 * (worker.ts). To write an event never waits; what that thread does not get done is lost, and counted.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import type { ExportState } from "../../export/settings.ts";
import type { EventSink } from "../../export/sink.ts";
import type { AgentEvent, LossPlace } from "../../flow/record.ts";
import type { Logger } from "../../telemetry/logger.ts";
import {
  type FromWorker,
  type KeptLine,
  keptLine,
  type RecordsState,
  type RecordsWorkerData,
  type ToWorker,
} from "./messages.ts";

export interface RecordsOptions extends RecordsWorkerData {
  onExports?: (states: readonly ExportState[]) => void;
  onLost?: (where: LossPlace, count: number) => void;
  log: Logger;
}

/** Characters that may be on their way to the thread. */
const QUEUE_MAX = 16 * 1024 * 1024;
/** Records are handed over together: after so long, or so many characters. */
const BATCH_MS = 50;
const BATCH_CHARACTERS = 128 * 1024;
/** A thread that has ended is begun again after this long. */
const RESTART_MS = 1_000;
/** One that does not end is ended after this long, and left after that. */
const END_MS = 5_000;
const TERMINATE_MS = 1_000;
const WORKER_MEGABYTES = 192;

const BEGINNING: RecordsState = { segments: 0, bytes: 0, damaged: 0, problem: null };

export class Records implements EventSink {
  readonly #options: RecordsOptions;
  readonly #listeners = new Set<(state: RecordsState) => void>();
  #worker: Worker | null = null;
  #lines: KeptLine[] = [];
  #characters = 0;
  /** Handed over, and not taken yet. */
  #underWay = 0;
  /** Events that were left out, of which no record tells yet. */
  #left = 0;
  #timer: NodeJS.Timeout | null = null;
  #state = BEGINNING;
  #ended: (() => void) | null = null;

  constructor(options: RecordsOptions) {
    this.#options = options;
    this.#begin();
  }

  /** As the thread said last. */
  get state(): RecordsState {
    return this.#state;
  }

  /** Calls whenever the state has changed, until what is returned is called. */
  subscribe(listener: (state: RecordsState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  write(event: AgentEvent): void {
    if (this.#ended !== null) return;
    const kept = this.#kept(event);
    if (this.#worker === null || this.#characters + this.#underWay + kept.line.length > QUEUE_MAX) {
      this.#left += 1;
      this.#options.onLost?.("queue", 1);
      return;
    }
    if (this.#left > 0) this.#push(this.#lostLine());
    this.#push(kept);
  }

  /** Settles when what was written is on disk, or cannot be. */
  async end(): Promise<void> {
    const worker = this.#worker;
    const ended = new Promise<void>((settle) => {
      this.#ended = settle;
    });
    if (worker === null) return;
    if (this.#left > 0) this.#push(this.#lostLine());
    this.#handOver();
    this.#post({ type: "end" });
    const timer = setTimeout(() => this.#ended?.(), END_MS);
    await ended;
    clearTimeout(timer);
    // A file system that hangs keeps the thread: it ends with the process then.
    await Promise.race([worker.terminate(), sleep(TERMINATE_MS, undefined, { ref: false })]);
  }

  #kept(event: AgentEvent): KeptLine {
    return keptLine({ ...event, node: this.#options.node });
  }

  #lostLine(): KeptLine {
    const count = this.#left;
    this.#left = 0;
    return this.#kept({ time: new Date().toISOString(), type: "lost", where: "queue", count });
  }

  #push(kept: KeptLine): void {
    this.#lines.push(kept);
    this.#characters += kept.line.length;
    if (this.#characters >= BATCH_CHARACTERS) this.#handOver();
    else this.#timer ??= setTimeout(() => this.#handOver(), BATCH_MS);
  }

  #handOver(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length === 0) return;
    this.#post({ type: "batch", lines: this.#lines, characters: this.#characters });
    this.#underWay += this.#characters;
    this.#lines = [];
    this.#characters = 0;
  }

  #post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #begin(): void {
    const { folder, limit, socket, node, exports, serve, log } = this.#options;
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: { folder, limit, socket, node, exports, serve } satisfies RecordsWorkerData,
      resourceLimits: { maxOldGenerationSizeMb: WORKER_MEGABYTES, maxYoungGenerationSizeMb: 4 },
    });
    // An agent that cannot start is not kept alive by it.
    worker.unref();
    this.#worker = worker;
    worker.on("message", (message: FromWorker) => this.#take(message));
    worker.on("error", (cause) => log.error({ err: cause }, "the thread of records has failed; it is begun again"));
    worker.on("exit", () => this.#exited());
  }

  #take(message: FromWorker): void {
    const { log, onExports, onLost } = this.#options;
    if (message.type === "taken") this.#underWay -= message.characters;
    else if (message.type === "lost") onLost?.(message.where, message.count);
    else if (message.type === "exports") onExports?.(message.states);
    else if (message.type === "warning") log.warn(message.message);
    else if (message.type === "ended") this.#ended?.();
    else {
      this.#state = message.state;
      for (const listener of this.#listeners) listener(message.state);
    }
  }

  /** What was under way is lost, by a number that nobody knows. */
  #exited(): void {
    this.#worker = null;
    this.#underWay = 0;
    this.#ended?.();
    setTimeout(() => {
      if (this.#ended === null) this.#begin();
    }, RESTART_MS).unref();
  }
}
