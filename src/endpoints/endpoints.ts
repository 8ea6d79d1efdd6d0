/**
 * The HTTP endpoints of a long-running command: /healthz (is it alive) and /readyz (can it do its work) on one address, /metrics on
 * another. They have a thread of their own (endpoints-worker.ts), so that whoever comes to them keeps nobody from working, and so that
 * a probe is answered whatever else there is. This side says how the process is, renders metrics, and asks who may read them.
 */
import { Worker } from "node:worker_threads";
import type { Registry } from "prom-client";
import { causeText, PortcullisError, UnreadableError, UsageError } from "../api/errors.ts";
import type { DropReason } from "../net/connection-limits.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { EndpointsWorkerData, FromWorker, ToWorker } from "./messages.ts";

/** What is wrong, in words, one line each; none: all is well. */
export type HealthCheck = () => string[];

export interface EndpointOptions {
  /** `host:port`, `[::]:port` or `:port`; port 0 takes any. Null: not served. */
  probeAddress: string | null;
  metricsAddress: string | null;
  registry: Registry;
  ready: HealthCheck;
  /** Called before metrics are read, to set those that are looked up. */
  collect?: () => void;
  /** Whether metrics may be read with a token. Null: by whoever reaches the address. */
  mayRead?: ((token: string) => Promise<boolean>) | null;
  /** Metrics are served over TLS with these. */
  tls?: { certificateFile: string; keyFile: string } | null;
  onDropped?: (reason: DropReason) => void;
  log: Logger;
}

export interface Endpoints {
  /** 0 where it is not served. */
  probePort: number;
  metricsPort: number;
  close(): Promise<void>;
}

/** An address that cannot be listened on. Code PC_LISTEN. */
export class ListenError extends PortcullisError {
  constructor(address: string, cause: unknown) {
    super("PC_LISTEN", `cannot listen on ${address}: ${causeText(cause)}; choose another address`, { cause });
  }
}

/** Our event loop says that it lives, and how we are, this often. */
const BEAT_MS = 500;
/** A thread that has ended is begun again after this long. */
const RESTART_MS = 1_000;
/** Its heap: it keeps nothing but connections and one text of metrics. */
const WORKER_MEGABYTES = 48;

/**
 * Settles when all is served.
 * @throws UsageError for an address that is none, ListenError where one cannot be had, UnreadableError for the certificate
 */
export async function serveEndpoints(options: EndpointOptions): Promise<Endpoints> {
  const { probeAddress, metricsAddress, mayRead = null, tls = null } = options;
  const thread = new EndpointsThread(options, {
    probe: probeAddress === null ? null : { ...parseListenAddress(probeAddress), address: probeAddress },
    metrics: metricsAddress === null ? null : { ...parseListenAddress(metricsAddress), address: metricsAddress },
    needsToken: mayRead !== null,
    tls,
  });
  return thread.start();
}

class EndpointsThread {
  readonly #options: EndpointOptions;
  readonly #data: EndpointsWorkerData;
  #worker: Worker | null = null;
  #beat: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: EndpointOptions, data: EndpointsWorkerData) {
    this.#options = options;
    this.#data = data;
  }

  async start(): Promise<Endpoints> {
    const { probePort, metricsPort } = await this.#spawn().catch(async (cause: unknown) => {
      await this.#close();
      throw cause;
    });
    // A thread that has to be begun again takes the same ports.
    if (this.#data.probe !== null) this.#data.probe.port = probePort;
    if (this.#data.metrics !== null) this.#data.metrics.port = metricsPort;
    return { probePort, metricsPort, close: () => this.#close() };
  }

  #spawn(): Promise<{ probePort: number; metricsPort: number }> {
    const worker = new Worker(new URL("./worker.ts", import.meta.url), {
      workerData: this.#data,
      resourceLimits: { maxOldGenerationSizeMb: WORKER_MEGABYTES, maxYoungGenerationSizeMb: 2, stackSizeMb: 1 },
    });
    this.#worker = worker;
    this.#sendHealth();
    this.#beat ??= setInterval(() => this.#sendHealth(), BEAT_MS).unref();
    return new Promise((settle, fail) => {
      worker.on("message", (message: FromWorker) => {
        if (message.type === "listening") settle(message);
        else if (message.type === "failed") fail(failureOf(message.address, message.reason));
        else this.#take(message);
      });
      worker.on("error", (cause) => {
        fail(cause);
        this.#options.log.error({ err: cause }, "the thread of metrics and probes has failed; it is begun again");
      });
      worker.on("exit", () => this.#ended(worker));
    });
  }

  #ended(worker: Worker): void {
    if (this.#closed || this.#worker !== worker) return;
    setTimeout(() => {
      if (this.#closed) return;
      this.#spawn().catch((cause: unknown) => {
        this.#options.log.error({ err: cause }, "metrics and probes cannot be served; trying again");
        // One that could not listen goes on waiting for messages; its end is tried again as any other.
        void this.#worker?.terminate();
      });
    }, RESTART_MS).unref();
  }

  #sendHealth(): void {
    this.#post({ type: "beat", problems: this.#options.ready() });
  }

  #post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #take(message: FromWorker): void {
    if (message.type === "render") void this.#render();
    else if (message.type === "review") void this.#review(message.id, message.token);
    else if (message.type === "dropped") this.#options.onDropped?.(message.reason);
  }

  async #render(): Promise<void> {
    const { registry, collect, log } = this.#options;
    try {
      collect?.();
      this.#post({ type: "rendered", text: await registry.metrics(), contentType: registry.contentType });
    } catch (cause) {
      log.error({ err: cause }, "metrics cannot be rendered");
      this.#post({ type: "rendered", text: null, contentType: "" });
    }
  }

  /** Who cannot be asked about now may come again. */
  async #review(id: number, token: string): Promise<void> {
    const { mayRead, log } = this.#options;
    try {
      this.#post({ type: "reviewed", id, allowed: (await mayRead?.(token)) ?? false });
    } catch (cause) {
      log.warn({ err: cause }, "whether metrics may be read cannot be asked now");
      this.#post({ type: "reviewed", id, allowed: null });
    }
  }

  async #close(): Promise<void> {
    this.#closed = true;
    if (this.#beat !== null) clearInterval(this.#beat);
    await this.#worker?.terminate();
  }
}

/** Where no address is to blame, the certificate is: nothing else is read. */
function failureOf(address: string | null, reason: string): Error {
  return address === null
    ? new UnreadableError("the certificate of metrics", reason)
    : new ListenError(address, reason);
}

/** @throws UsageError */
export function parseListenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new UsageError(`${text} is not an address to listen on; write host:port or :port`);
  return { host: match[1] ?? (match[2] || "::"), port };
}

/** Only this machine, or this pod, reaches it. */
export function isLoopback(address: string): boolean {
  const { host } = parseListenAddress(address);
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
