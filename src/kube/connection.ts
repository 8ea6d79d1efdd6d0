/**
 * Requests to the API server. What a kubeconfig means is the Kubernetes client's affair; the requests are our own, because its list
 * and watch neither page, nor choose a representation, nor tell broken lines from good ones.
 */
import { existsSync } from "node:fs";
import type { Agent as HttpAgent, IncomingMessage, OutgoingHttpHeaders } from "node:http";
import https from "node:https";
import type { Socket } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";
import { http } from "../net/http.ts";
import { type ApiAccess, plainAccess } from "./access/access.ts";
import { PodAccess } from "./access/pod-access.ts";
import { ApiError, KubeConfigError, SilentError, TooLargeError, UnreachableError } from "./errors.ts";

export interface ConnectionOptions {
  /** File; KUBECONFIG, ~/.kube/config or the pod's own service account where absent, as with kubectl. */
  kubeconfig?: string;
  context?: string;
  /** Of this program, sent in `User-Agent`. */
  version: string;
}

export interface RequestOptions {
  query?: Record<string, string | number | boolean | undefined>;
  body?: unknown;
  contentType?: string;
  accept?: string;
  /** Milliseconds until the whole answer has to be there. */
  timeout?: number;
  /** An answer with more bytes is broken off. */
  maxBytes?: number;
  /** Is called with the length of the answer. */
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal;
}

export interface StreamOptions extends RequestOptions {
  /** Milliseconds of silence after which the stream is taken for broken. */
  silence: number;
  /** The server has agreed to send. */
  onOpen?: () => void;
}

/** How a connection was made: enough to make another in another thread. */
export type ConnectionOrigin = { options: ConnectionOptions } | { plain: string; version: string };

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

const DEFAULT_TIMEOUT_MS = 30_000;
/** A dead peer is noticed by the kernel after about this long without traffic. */
const TCP_KEEPALIVE_MS = 15_000;

export class KubeConnection {
  readonly server: string;
  readonly origin: ConnectionOrigin;
  readonly #access: ApiAccess;
  readonly #userAgent: string;
  #agent: { key: string; agent: HttpAgent } | null = null;

  private constructor(access: ApiAccess, version: string, origin: ConnectionOrigin) {
    this.server = access.server;
    this.origin = origin;
    this.#access = access;
    this.#userAgent = `portcullis/${version}`;
  }

  /**
   * By the kubeconfig that is given or found, else as the pod that this is.
   * @throws KubeConfigError where there is no usable configuration
   */
  static async load(given: ConnectionOptions): Promise<KubeConnection> {
    const { version, ...options } = given;
    const hasFile = options.kubeconfig !== undefined || hasKubeconfig();
    const pod = hasFile ? null : PodAccess.find();
    if (pod !== null && options.context === undefined) return new KubeConnection(pod, version, { options: given });
    // The client would try a server at localhost:8080, as kubectl does.
    if (!hasFile)
      throw new KubeConfigError("no cluster is configured; set KUBECONFIG, name a kubeconfig, or run in a pod");
    const { kubeconfigAccess } = await import("./access/kubeconfig-access.ts");
    return new KubeConnection(kubeconfigAccess(options), version, { options: given });
  }

  /** A connection to a server without encryption or credentials: a proxy on this machine, or a test. */
  static plain(server: string, version = "test"): KubeConnection {
    return new KubeConnection(plainAccess(server), version, { plain: server, version });
  }

  /**
   * Another connection, made as that one was.
   * @throws KubeConfigError
   */
  static async again(origin: ConnectionOrigin): Promise<KubeConnection> {
    return "plain" in origin ? KubeConnection.plain(origin.plain, origin.version) : KubeConnection.load(origin.options);
  }

  /**
   * The answer's JSON.
   * @throws ApiError, UnreachableError; TooLargeError above `maxBytes`
   */
  async request(method: Method, path: string, options: RequestOptions = {}): Promise<unknown> {
    const what = `${method} ${path}`;
    const limit = AbortSignal.timeout(options.timeout ?? DEFAULT_TIMEOUT_MS);
    const signal = options.signal === undefined ? limit : AbortSignal.any([limit, options.signal]);
    const response = await this.#send(method, path, options, signal);
    const text = await bodyText(response, what, options.maxBytes);
    options.onBytes?.(text.length);
    return readAnswer(what, response, text);
  }

  /**
   * The lines of an answer without end, as they come.
   * @throws ApiError, UnreachableError; SilentError where nothing has come for `silence` milliseconds
   */
  async *lines(path: string, options: StreamOptions): AsyncGenerator<string> {
    const what = `GET ${path}`;
    const silence = new AbortController();
    const quiet = () => silence.abort(new SilentError(what, options.silence));
    let timer = setTimeout(quiet, options.silence);
    const signal = options.signal === undefined ? silence.signal : AbortSignal.any([silence.signal, options.signal]);
    try {
      const response = await this.#send("GET", path, options, signal);
      if (response.statusCode !== 200) readAnswer(what, response, await bodyText(response, what));
      options.onOpen?.();
      response.setEncoding("utf8");
      // A line may be megabytes long, and comes in many chunks: each is looked at once.
      let rest: string[] = [];
      for await (const chunk of unreachable(response, what)) {
        clearTimeout(timer);
        timer = setTimeout(quiet, options.silence);
        const pieces = chunk.split("\n");
        const last = pieces.pop() ?? "";
        for (const piece of pieces) {
          yield rest.length === 0 ? piece : `${rest.join("")}${piece}`;
          rest = [];
        }
        if (last !== "") rest.push(last);
      }
    } catch (cause) {
      throw silence.signal.reason instanceof SilentError ? silence.signal.reason : cause;
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
  }

  /** Closes idle connections. Requests that are under way go on. */
  close(): void {
    this.#agent?.agent.destroy();
    this.#agent = null;
  }

  async #send(method: Method, path: string, options: RequestOptions, signal: AbortSignal): Promise<IncomingMessage> {
    const url = new URL(this.server + path);
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) url.searchParams.set(key, String(value));
    }
    const body = options.body === undefined ? null : Buffer.from(JSON.stringify(options.body));
    const settings = await this.#settings(`${method} ${path}`);
    const headers: OutgoingHttpHeaders = {
      ...(settings.headers as OutgoingHttpHeaders | undefined),
      accept: options.accept ?? "application/json",
      "user-agent": this.#userAgent,
      ...(body === null
        ? {}
        : { "content-type": options.contentType ?? "application/json", "content-length": body.length }),
    };
    const { request } = url.protocol === "http:" ? http : https;
    return new Promise((settle, fail) => {
      const outgoing = request(url, { ...settings, method, headers, signal }, settle);
      outgoing.on("error", (cause) => fail(new UnreachableError(`${method} ${path}`, signal.reason ?? cause)));
      outgoing.on("socket", (socket: Socket) => socket.setKeepAlive(true, TCP_KEEPALIVE_MS));
      outgoing.end(body ?? undefined);
    });
  }

  async #settings(what: string): Promise<https.RequestOptions> {
    let settings: https.RequestOptions;
    try {
      settings = await this.#access.settings();
    } catch (cause) {
      throw new UnreachableError(`${what} (credentials)`, cause);
    }
    // The client's opens a connection for each request, except that it knows proxies.
    return this.#access.hasProxy ? settings : { ...settings, agent: this.#ownAgent(settings) };
  }

  #ownAgent({ ca, cert, key, servername, rejectUnauthorized }: https.RequestOptions): HttpAgent {
    const tls = { ca, cert, key, servername, rejectUnauthorized };
    const id = JSON.stringify(tls, (_, value: unknown) => (value instanceof Buffer ? value.toString("base64") : value));
    if (this.#agent?.key === id) return this.#agent.agent;
    this.#agent?.agent.destroy();
    const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
    const agent = this.server.startsWith("http:")
      ? new http.Agent({ keepAlive: true })
      : new https.Agent({ keepAlive: true, ...given });
    this.#agent = { key: id, agent };
    return agent;
  }
}

/** As kubectl looks for one. */
function hasKubeconfig(): boolean {
  return (process.env.KUBECONFIG ?? "") !== "" || existsSync(join(homedir(), ".kube/config"));
}

async function bodyText(response: IncomingMessage, what: string, maxBytes = Number.POSITIVE_INFINITY): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  for await (const chunk of unreachable(response, what)) {
    text += chunk;
    // Leaving the loop ends the answer, and its connection.
    if (text.length > maxBytes) throw new TooLargeError(what, maxBytes);
  }
  return text;
}

/** The same chunks; an answer that breaks off is our kind of error. */
async function* unreachable(response: IncomingMessage, what: string): AsyncGenerator<string> {
  try {
    for await (const chunk of response) yield String(chunk);
  } catch (cause) {
    throw new UnreachableError(what, cause);
  }
}

function readAnswer(what: string, response: IncomingMessage, text: string): unknown {
  const status = response.statusCode ?? 0;
  const parsed = parseJson(text);
  if (status >= 200 && status < 300) {
    if (parsed !== undefined) return parsed;
    throw new UnreachableError(what, new Error("the answer is not JSON"));
  }
  const { reason, message } = (parsed ?? {}) as { reason?: unknown; message?: unknown };
  const words = typeof message === "string" ? message : text.slice(0, 200).trim() || "no explanation";
  throw new ApiError(what, status, typeof reason === "string" ? reason : "", words, retryAfter(response));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `Retry-After` in milliseconds; the API server writes seconds. */
function retryAfter(response: IncomingMessage): number | null {
  const seconds = Number(response.headers["retry-after"]);
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null;
}
