/** Requests to the API server in great number: connections are kept, and so many are under way at once as is good for it. */
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { BenchError } from "../errors.ts";

export interface ApiAnswer {
  metadata: { name: string; uid: string };
  status?: { token?: string };
}

export interface ApiClientOptions {
  port: number;
  authority: string;
  certificate: string;
  key: string;
}

/** More make a queue in the API server, and no more haste. */
const CONNECTIONS = 64;

export class ApiClient {
  readonly #agent: Agent;
  readonly #port: number;

  /** @param options with paths of PEM files */
  constructor({ port, authority, certificate, key }: ApiClientOptions) {
    this.#port = port;
    this.#agent = new Agent({
      keepAlive: true,
      maxSockets: CONNECTIONS,
      ca: readFileSync(authority),
      cert: readFileSync(certificate),
      key: readFileSync(key),
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** Makes an object. */
  create(path: string, body: unknown): Promise<ApiAnswer> {
    return this.#json("POST", path, body, "application/json");
  }

  /** Changes some fields of one. */
  patch(path: string, body: unknown): Promise<ApiAnswer> {
    return this.#json("PATCH", path, body, "application/merge-patch+json");
  }

  async get(path: string): Promise<string> {
    const { status, text } = await this.#send("GET", path, null, "");
    if (status !== 200) throw new BenchError(`GET ${path}: ${status}: ${text.slice(0, 300)}`);
    return text;
  }

  async isReady(): Promise<boolean> {
    // While it starts, it refuses connections.
    return this.#send("GET", "/readyz", null, "").then(
      ({ status }) => status === 200,
      () => false,
    );
  }

  /** Works on all of a long list, `CONNECTIONS` at a time, in order. */
  async each<T>(items: readonly T[], work: (item: T, index: number) => Promise<unknown>): Promise<void> {
    let next = 0;
    const worker = async () => {
      for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  }

  async #json(method: string, path: string, body: unknown, type: string): Promise<ApiAnswer> {
    const { status, text } = await this.#send(method, path, JSON.stringify(body), type);
    if (status >= 300) throw new BenchError(`${method} ${path}: ${status}: ${text.slice(0, 300)}`);
    return JSON.parse(text) as ApiAnswer;
  }

  #send(method: string, path: string, body: string | null, type: string): Promise<{ status: number; text: string }> {
    const headers = body === null ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
    return new Promise((settle, fail) => {
      const options = { agent: this.#agent, host: "127.0.0.1", port: this.#port, method, path, headers };
      const outgoing = request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => settle({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
        response.on("error", fail);
      });
      outgoing.on("error", fail);
      outgoing.end(body ?? undefined);
    });
  }
}
