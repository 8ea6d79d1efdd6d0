/** The thread that keeps a node's records, answers questions about them, and exports them: nothing that judges or attaches waits for a disk or a reader. */
import { existsSync } from "node:fs";
import type http from "node:http";
import { flushCompileCache } from "node:module";
import { setImmediate as turn } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { causeText, fileFault } from "../../api/errors.ts";
import { Exports } from "../../export/exports.ts";
import type { ServeSettings } from "../../hubble/server.ts";
import { Keeper } from "./keeper.ts";
import type { BatchMessage, FromWorker, RecordsState, RecordsWorkerData, ToWorker } from "./messages.ts";
import { SeenRecords } from "./seen-records.ts";
import { serveRecords } from "./server.ts";

/** So long records wait to be on disk, at most: with what they wait before (records.ts) less than a second. */
const FLUSH_MS = 800;
/** What could not be begun is tried again after this long. */
const AGAIN_MS = 5_000;

/** So long exports have for what is still waiting when the agent ends. */
const EXPORT_END_MS = 3_000;

const { folder, limit, socket, node, exports, serve } = workerData as RecordsWorkerData;

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

class RecordsThread {
  readonly #exports = new Exports(exports, node, (message) => post({ type: "warning", message }));
  #keeper: Keeper | null = null;
  readonly #seen = new SeenRecords();
  #server: http.Server | null = null;
  #closeHubble: () => void = () => {};
  #kept = "it is beginning";
  #served = "it is beginning";
  #hubbleProblem = "";
  #reported = "";

  constructor() {
    if (limit > 0) {
      this.#keep();
      void this.#serve();
      if (serve !== null) void this.#serveHubble(serve);
    }
    setInterval(() => {
      this.#keeper?.flush();
      this.#serveAgain();
      this.#report();
      this.#reportExports();
    }, FLUSH_MS);
  }

  take(message: ToWorker): void {
    if (message.type === "end") void this.#end();
    else this.#takeBatch(message);
  }

  #takeBatch(message: BatchMessage): void {
    if (this.#keeper !== null) this.#keeper.take(message.lines);
    else if (limit > 0) post({ type: "lost", where: "disk", count: message.lines.length });
    this.#exports.take(message.lines);
    this.#seen.take(message.lines);
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

  /** A machine that serves no client of Hubble has no use for gRPC's megabytes. */
  async #serveHubble(settings: ServeSettings): Promise<void> {
    const { serveHubble } = await import("../../hubble/server.ts");
    try {
      this.#closeHubble = await serveHubble(settings, {
        node,
        seen: () => this.#seen.summary(),
        answer: async (query, sink) => {
          if (this.#keeper === null) throw new Error(this.#kept);
          await this.#keeper.answer(query, sink);
        },
      });
    } catch (cause) {
      const problem = `Hubble's clients cannot be served on ${settings.address}: ${causeText(cause)}`;
      if (problem !== this.#hubbleProblem) post({ type: "warning", message: `${problem}; trying again` });
      this.#hubbleProblem = problem;
      setTimeout(() => void this.#serveHubble(settings), AGAIN_MS);
    }
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

  #reportExports(): void {
    const states = this.#exports.takeStates();
    if (states.length > 0) post({ type: "exports", states });
  }

  #report(): void {
    if (limit === 0) return;
    const state = this.#state;
    const text = JSON.stringify(state);
    if (text === this.#reported) return;
    this.#reported = text;
    post({ type: "state", state });
  }

  /** What has been taken is on disk when it has ended. Readers get the end of their answers, unless they do not read. */
  async #end(): Promise<void> {
    this.#keeper?.close();
    this.#server?.close();
    this.#closeHubble();
    await Promise.all([this.#exports.end(EXPORT_END_MS), turn()]);
    this.#reportExports();
    this.#server?.closeAllConnections();
    post({ type: "ended" });
    parentPort?.close();
  }
}

// Compiled code is kept at the end of a process, and a thread's not at all; without it, Node's TypeScript compiler stays in memory (17 MiB).
flushCompileCache();
const thread = new RecordsThread();
parentPort?.on("message", (message: ToWorker) => thread.take(message));
