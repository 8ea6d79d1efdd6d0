/**
 * An observation: a token for it, a request that goes through the API server to the operator, and what comes back. Where the operator
 * changes, or the connection breaks, it is asked for again.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { OBSERVE_AUDIENCE, OBSERVE_PATH, type ObserveRequest } from "../../protocol/observe.ts";
import { type Kubectl, KubectlError, kubectlWords, notRun } from "./kubectl.ts";
import { observeHint } from "./observe-hints.ts";
import { isEnd, type ObservePrinter, parsedLine } from "./observe-printer.ts";

export interface ObserveSessionOptions {
  kubectl: Kubectl;
  /** Whose token is shown. */
  account: { name: string; namespace: string };
  /** The operator's Service. */
  target: { service: string; namespace: string };
  asked: Omit<ObserveRequest, "token">;
  printer: ObservePrinter;
  /** Milliseconds; null: until it is interrupted. */
  timeout: number | null;
}

/** Tokens of less than this are not given. */
const TOKEN_LIFE = "10m";
/** The operator says every 15 seconds that it lives. */
const SILENCE_MS = 45_000;
const AGAIN_MS = 1_000;
/** An operator that has ended has a successor by then, and the agents have found it. */
const AGAIN_LIMIT_MS = 60_000;
/** Answers of the API server, or the operator, that do not change by asking again. */
const FINAL = /Error from server \((Forbidden|Unauthorized|NotFound|BadRequest|Conflict)\)/;
const STDERR_MAX = 16_384;

/** How one stream ended. */
interface StreamEnd {
  /** Something had come of it before. */
  begun: boolean;
  again: boolean;
  message: string;
}

/**
 * Prints until it is to end: exit status 0.
 * @throws KubectlError where it is refused, or the pod or the connection has gone
 */
export async function observeUntil(options: ObserveSessionOptions): Promise<number> {
  const ending = new AbortController();
  const end = () => ending.abort();
  const timer = options.timeout === null ? null : setTimeout(end, options.timeout);
  process.once("SIGINT", end).once("SIGTERM", end);
  try {
    await new ObserveSession(options, ending.signal).run();
    return 0;
  } finally {
    if (timer !== null) clearTimeout(timer);
    process.off("SIGINT", end).off("SIGTERM", end);
  }
}

class ObserveSession {
  readonly #options: ObserveSessionOptions;
  readonly #signal: AbortSignal;
  #hasBegun = false;
  /** Since when it is asked for again in vain. */
  #failingSince: number | null = null;

  constructor(options: ObserveSessionOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    while (!this.#isOver) {
      const end = await this.#attempt();
      if (this.#isOver) return;
      await this.#beforeNext(end);
    }
  }

  get #isOver(): boolean {
    return this.#signal.aborted || this.#options.printer.isDone;
  }

  async #beforeNext({ begun, again, message }: StreamEnd): Promise<void> {
    const { account, target, printer } = this.#options;
    if (begun) this.#hasBegun = true;
    if (begun) this.#failingSince = null;
    this.#failingSince ??= Date.now();
    const isLate = Date.now() - this.#failingSince > AGAIN_LIMIT_MS;
    if (!again || !this.#hasBegun || isLate) {
      throw new KubectlError(`${message}${observeHint(message, account, target)}`);
    }
    if (begun) printer.note(`${message}; asking again`);
    // An abort ends the wait, which is all that it is for.
    await sleep(AGAIN_MS, undefined, { signal: this.#signal }).catch(() => {});
  }

  async #attempt(): Promise<StreamEnd> {
    let token: string;
    try {
      token = this.#token();
    } catch (cause) {
      if (!(cause instanceof KubectlError)) throw cause;
      return { begun: false, again: !FINAL.test(cause.message), message: cause.message };
    }
    return this.#stream(token);
  }

  #token(): string {
    const { kubectl, account } = this.#options;
    const { name, namespace } = account;
    const what = ["create", "token", name, `--namespace=${namespace}`];
    return kubectl.text(...what, `--audience=${OBSERVE_AUDIENCE}`, `--duration=${TOKEN_LIFE}`).trim();
  }

  async #stream(token: string): Promise<StreamEnd> {
    const { kubectl, target, asked, printer } = this.#options;
    const service = `services/https:${target.service}:observe/proxy`;
    const path = `/api/v1/namespaces/${target.namespace}/${service}${OBSERVE_PATH}`;
    const child = kubectl.post(path, JSON.stringify({ token, ...asked }));
    const result: StreamEnd = { begun: false, again: true, message: "the connection to the operator broke off" };
    const stop = () => child.kill();
    let silence = setTimeout(stop, SILENCE_MS);
    this.#signal.addEventListener("abort", stop);
    process.once("exit", stop);
    let errors = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      errors = `${errors}${text}`.slice(0, STDERR_MAX);
    });
    createInterface({ input: child.stdout }).on("line", (text) => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MS);
      const line = parsedLine(text);
      if (line === null || this.#isOver) return;
      result.begun = true;
      printer.print(line);
      if (isEnd(line)) Object.assign(result, { again: line.again, message: line.message });
      if (this.#isOver) stop();
    });
    const failure = await new Promise<Error | null>((settle) => {
      child.once("error", settle);
      child.once("close", () => settle(null));
    });
    clearTimeout(silence);
    this.#signal.removeEventListener("abort", stop);
    process.off("exit", stop);
    if (failure !== null) throw notRun(failure);
    if (result.begun || errors.trim() === "") return result;
    return { begun: false, again: !FINAL.test(errors), message: kubectlWords(errors) };
  }
}
