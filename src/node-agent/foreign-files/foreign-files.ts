/**
 * Looks at files of pods and of whoever else has a mount namespace of his own. A file system in there may answer late or never
 * (FUSE, NFS), and who waits for it cannot always be killed. So none of it is done in the agent: a helper process looks
 * (helper.ts), one question of a workload at a time, each within a limit. A workload whose files hang waits for itself alone.
 */
import { fork } from "node:child_process";
import { join } from "node:path";
import { causeText } from "../../api/errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { busy, type ForeignFileError, helperGone, hung, lookFailed } from "./errors.ts";
import type { HelperAnswer, HelperQuestion } from "./helper.ts";
import type { Answer, Ask, QuestionKind } from "./questions.ts";

export interface ForeignFilesOptions {
  log: Logger;
  /** Milliseconds that a look may take. */
  limit?: number;
}

const LIMIT_MS = 1000;
/** What a helper that is being started may take beyond that, on a machine that has much to do. */
const START_MS = 10_000;
/** Questions of one workload that may wait. */
const WAITING_MAX = 64;
/**
 * Threads of a helper, and so looks that may hang in it at once: more than twice the pods of a node (kubelet's default is 110).
 * An idle one costs 8 kB (measured: 256 instead of 4 take 2 MB).
 */
const THREADS = 256;
/** With this many of them hanging it is replaced. */
const HUNG_MAX = 192;
/** Helpers that could not be ended and wait for a file system. With so many left behind, no further one is replaced. */
const ABANDONED_MAX = 3;
/** No two helpers are started in quicker succession. */
const RESTART_MS = 1000;

interface Question {
  id: number;
  kind: QuestionKind;
  ask: Ask<QuestionKind>;
  settle: (answer: unknown) => void;
  fail: (error: ForeignFileError) => void;
}

/** The questions of one workload. */
interface Lane {
  waiting: Question[];
  /** The helper has it. It stays here after its time is up, until the file system has answered. */
  asked: Question | null;
  helper: Helper | null;
  timer: NodeJS.Timeout | null;
  hung: boolean;
}

/** A helper process; `send` is what can go wrong. */
type Helper = ReturnType<typeof fork>;

/** What has become of all questions. */
export interface LookCounts {
  answered: number;
  hung: number;
  refused: number;
}

export class ForeignFiles implements Disposable {
  readonly counts: LookCounts = { answered: 0, hung: 0, refused: 0 };
  readonly #log: Logger;
  readonly #limit: number;
  readonly #lanes = new Map<string, Lane>();
  readonly #listeners = new Set<() => void>();
  /** Those that were replaced and have not ended. */
  readonly #abandoned = new Set<Helper>();
  #helper: Helper | null = null;
  #isReady = false;
  #startedAt = Number.NEGATIVE_INFINITY;
  #ids = 0;
  #closed = false;

  constructor({ log, limit = LIMIT_MS }: ForeignFilesOptions) {
    this.#log = log;
    this.#limit = limit;
  }

  /**
   * Looks.
   * @param workload whose files they are: its questions are answered in turn, and wait for nobody else's
   * @throws ForeignFileError PC_FILES_HUNG, PC_FILES_BUSY, PC_FILES_HELPER, PC_FILES_UNREADABLE
   */
  ask<K extends QuestionKind>(workload: string, kind: K, ask: Ask<K>): Promise<Answer<K>> {
    const lane = this.#laneOf(workload);
    if (lane.hung || lane.waiting.length >= WAITING_MAX) {
      this.counts.refused += 1;
      return Promise.reject(lane.hung ? hung(this.#limit) : busy(WAITING_MAX));
    }
    return new Promise<unknown>((settle, fail) => {
      lane.waiting.push({ id: ++this.#ids, kind, ask, settle, fail });
      this.#next(workload, lane);
    }) as Promise<Answer<K>>;
  }

  /** Why the files of a workload cannot be looked at; null if they can. */
  problemOf(workload: string): ForeignFileError | null {
    return this.#lanes.get(workload)?.hung === true ? hung(this.#limit) : null;
  }

  /** Calls the listener when files of a workload begin to hang, or answer again; returns what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#listeners.clear();
    if (this.#helper !== null) leave(this.#helper);
    for (const [workload, lane] of this.#lanes) this.#failAll(workload, lane, helperGone("the agent ends"));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #laneOf(workload: string): Lane {
    const found = this.#lanes.get(workload);
    if (found !== undefined) return found;
    const lane: Lane = { waiting: [], asked: null, helper: null, timer: null, hung: false };
    this.#lanes.set(workload, lane);
    return lane;
  }

  /** Hands the helper the lane's next question, if it has none of it. */
  #next(workload: string, lane: Lane): void {
    if (lane.asked !== null) return;
    const question = lane.waiting.shift();
    if (question === undefined) {
      this.#lanes.delete(workload);
      return;
    }
    const helper = this.#running();
    if (helper === null) {
      lane.waiting.unshift(question);
      this.#failAll(workload, lane, helperGone("it ended a moment ago"));
      return;
    }
    lane.asked = question;
    lane.helper = helper;
    const limit = this.#isReady ? this.#limit : this.#limit + START_MS;
    lane.timer = setTimeout(() => this.#late(workload, lane), limit);
    const { id, kind, ask } = question;
    helper.send({ id, kind, ask } satisfies HelperQuestion, () => {});
  }

  #late(workload: string, lane: Lane): void {
    lane.hung = true;
    this.counts.hung += 1;
    this.#log.warn({ workload, kind: lane.asked?.kind }, `files of a workload hang: ${hung(this.#limit).message}`);
    lane.asked?.fail(hung(this.#limit));
    for (const { fail } of lane.waiting.splice(0)) fail(hung(this.#limit));
    this.#replaceIfFull();
    this.#notify();
  }

  #take(message: HelperAnswer): void {
    for (const [workload, lane] of this.#lanes) {
      if (lane.asked?.id !== message.id) continue;
      const { settle, fail } = lane.asked;
      const wasHung = this.#release(lane);
      this.counts.answered += 1;
      if ("error" in message) fail(lookFailed(message.error));
      else settle(message.answer);
      this.#next(workload, lane);
      if (wasHung) this.#notify();
      return;
    }
  }

  /** The lane has nothing asked any more. True if it hung. */
  #release(lane: Lane): boolean {
    const wasHung = lane.hung;
    if (lane.timer !== null) clearTimeout(lane.timer);
    Object.assign(lane, { asked: null, helper: null, timer: null, hung: false });
    return wasHung;
  }

  #failAll(workload: string, lane: Lane, error: ForeignFileError): void {
    const questions = [...(lane.asked === null ? [] : [lane.asked]), ...lane.waiting.splice(0)];
    this.#release(lane);
    this.#lanes.delete(workload);
    for (const { fail } of questions) fail(error);
  }

  #running(): Helper | null {
    if (this.#helper !== null) return this.#helper;
    const now = performance.now();
    if (this.#closed || now - this.#startedAt < RESTART_MS) return null;
    this.#startedAt = now;
    this.#isReady = false;
    const helper = startHelper();
    helper.on("message", (message) => {
      if (helper === this.#helper) this.#isReady = true;
      this.#take(message as HelperAnswer);
    });
    helper.on("error", (cause) => {
      this.#log.error({ err: cause }, "the process that looks at pods' files fails");
      // One that could not be started does not end either.
      if (helper.pid === undefined) this.#ended(helper, causeText(cause));
    });
    helper.once("exit", (code, signal) => this.#ended(helper, signal ?? `exit status ${code}`));
    this.#helper = helper;
    return helper;
  }

  /** A helper has ended: what it had been asked is not answered any more, and nothing hangs in it. */
  #ended(helper: Helper, how: string): void {
    const wasReplaced = this.#abandoned.delete(helper);
    if (this.#helper === helper) this.#helper = null;
    if (this.#closed) return;
    if (!wasReplaced) this.#log.warn({ how }, "the process that looks at pods' files has ended; it is started again");
    for (const [workload, lane] of this.#lanes) {
      if (lane.helper === helper) this.#failAll(workload, lane, helperGone(how));
    }
    this.#notify();
  }

  /** Threads that hang are lost: before they are all gone, another helper takes over. */
  #replaceIfFull(): void {
    const helper = this.#helper;
    const inIt = [...this.#lanes.values()].filter((lane) => lane.hung && lane.helper === helper).length;
    if (helper === null || inIt < HUNG_MAX || this.#abandoned.size >= ABANDONED_MAX) return;
    this.#abandoned.add(helper);
    this.#helper = null;
    leave(helper);
  }

  #notify(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function startHelper(): Helper {
  return fork(join(import.meta.dirname, "helper.ts"), {
    // A helper that cannot be ended must hold nothing that somebody waits for.
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    execArgv: ["--disable-warning=ExperimentalWarning", "--max-semi-space-size=1", "--optimize-for-size", ...imports()],
    env: { ...process.env, UV_THREADPOOL_SIZE: String(THREADS) },
  });
}

/** What this process needs to read its own sources, the helper needs, too (bin/types.mjs). */
function imports(): string[] {
  const at = process.execArgv.indexOf("--import");
  return at < 0 ? [] : process.execArgv.slice(at, at + 2);
}

/** Ends it if that can be done, and waits for nothing. */
function leave(helper: Helper): void {
  helper.kill("SIGKILL");
  if (helper.connected) helper.disconnect();
  helper.unref();
}
