/** The thread that keeps a node's records, and answers questions about them: nothing that judges or attaches waits for a disk or a reader. */
import { existsSync } from "node:fs";
import type http from "node:http";
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { causeText, fileFault } from "../../api/errors.ts";
import { Keeper } from "./keeper.ts";
import type { BatchMessage, FromWorker, RecordsState, RecordsWorkerData, ToWorker } from "./messages.ts";
import { serveRecords } from "./server.ts";

/** So long records wait to be on disk, at most: with what they wait before (records.ts) less than a second. */
const FLUSH_MS = 800;
/** What could not be begun is tried again after this long. */
const AGAIN_MS = 5_000;

const { folder, limit, socket } = workerData as RecordsWorkerData;

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

class RecordsThread {
  #keeper: Keeper | null = null;
  #server: http.Server | null = null;
  #kept = "it is beginning";
  #served = "it is beginning";
  #reported = "";

  constructor() {
    this.#keep();
    void this.#serve();
    setInterval(() => {
      this.#keeper?.flush();
      this.#serveAgain();
      this.#report();
    }, FLUSH_MS);
  }

  take(message: ToWorker): void {
    if (message.type === "end") this.#end();
    else this.#takeBatch(message);
  }

  #takeBatch(message: BatchMessage): void {
    if (this.#keeper === null) post({ type: "lost", where: "disk", count: message.lines.length });
    else this.#keeper.take(message.lines);
    post({ type: "taken", characters: message.characters });
  }

  #keep(): void {
    try {
      this.#keeper = new Keeper(folder, limit, {
        onLost: (count) => post({ type: "lost", where: "disk", count }),
        onWarning: (message) => post({ type: "warning", message }),
      });
    } catch (cause) {
      const problem = `records cannot be kept in ${folder}: ${fileFault(cause)}`;
      if (problem !== this.#kept) post({ type: "warning", message: `${problem}; trying again` });
      this.#kept = problem;
      setTimeout(() => this.#keep(), AGAIN_MS);
    }
    this.#report();
  }

  async #serve(): Promise<void> {
    try {
      this.#server = await serveRecords(socket, {
        keeper: () => this.#keeper,
        state: () => this.#state,
      });
      this.#served = "";
    } catch (cause) {
      const problem = `questions about records cannot be answered on ${socket}: ${causeText(cause)}`;
      if (problem !== this.#served) post({ type: "warning", message: `${problem}; trying again` });
      this.#served = problem;
      setTimeout(() => void this.#serve(), AGAIN_MS);
    }
    this.#report();
  }

  /** Somebody may have removed the socket, such as who emptied its folder. */
  #serveAgain(): void {
    if (this.#server === null || existsSync(socket)) return;
    this.#server.close();
    this.#server = null;
    void this.#serve();
  }

  get #state(): RecordsState {
    const served = this.#server === null ? this.#served : null;
    if (this.#keeper === null) return { segments: 0, bytes: 0, damaged: 0, problem: this.#kept };
    const { state } = this.#keeper;
    return { ...state, problem: state.problem ?? served };
  }

  #report(): void {
    const state = this.#state;
    const text = JSON.stringify(state);
    if (text === this.#reported) return;
    this.#reported = text;
    post({ type: "state", state });
  }

  /** What has been taken is on disk when it has ended. Readers get the end of their answers, unless they do not read. */
  #end(): void {
    this.#keeper?.close();
    this.#server?.close();
    setImmediate(() => {
      this.#server?.closeAllConnections();
      post({ type: "ended" });
      parentPort?.close();
    });
  }
}

// Compiled code is kept at the end of a process, and a thread's not at all; without it, Node's TypeScript compiler stays in memory (17 MiB).
flushCompileCache();
const thread = new RecordsThread();
parentPort?.on("message", (message: ToWorker) => thread.take(message));
