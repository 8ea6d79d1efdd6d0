/** OTLP over HTTP/1.1 with binary protobuf: a POST for each batch, to the endpoint's path and /v1/logs. */
import http from "node:http";
import https from "node:https";
import { RefusedError } from "../destination.ts";
import { ANSWER_MS, type OtlpTransport } from "./transport.ts";

/** Statuses after which a request may be sent again (OTLP specification, "Retryable Response Codes"). */
const RETRYABLE = [429, 502, 503, 504];
/** Of an answer. More is no answer of a receiver of OTLP. */
const ANSWER_BYTES_MAX = 64 * 1024;
const CONTENT_TYPE = "application/x-protobuf";

export class OtlpHttp implements OtlpTransport {
  readonly #url: URL;
  readonly #client: typeof http | typeof https;
  readonly #agent: http.Agent;

  /** @param ca PEM; null: the system's authorities */
  constructor(url: URL, ca: string | null) {
    this.#url = new URL(`${url.pathname.replace(/\/$/, "")}/v1/logs`, url);
    const isSecure = url.protocol === "https:";
    this.#client = isSecure ? https : http;
    this.#agent = isSecure
      ? new https.Agent({ keepAlive: true, ...(ca === null ? {} : { ca }) })
      : new http.Agent({ keepAlive: true });
  }

  async send(request: Uint8Array, headers: Readonly<Record<string, string>>): Promise<Uint8Array> {
    const response = await this.#post(request, headers);
    const body = await bodyOf(response);
    const { statusCode = 0 } = response;
    if (statusCode >= 200 && statusCode < 300) return body;
    const problem = `${this.#url.href} answers with HTTP status ${statusCode}`;
    throw RETRYABLE.includes(statusCode) ? new Error(problem) : new RefusedError(problem);
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(body: Uint8Array, headers: Readonly<Record<string, string>>): Promise<http.IncomingMessage> {
    return new Promise((settle, fail) => {
      this.#client
        .request(this.#url, {
          ...{ method: "POST", agent: this.#agent, signal: AbortSignal.timeout(ANSWER_MS) },
          headers: { ...headers, "content-type": CONTENT_TYPE, "content-length": body.length },
        })
        .on("response", settle)
        .on("error", (cause) => fail(new Error(`no answer from ${this.#url.href}: ${cause.message}`, { cause })))
        .end(body);
    });
  }
}

async function bodyOf(response: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error("the receiver's answer is longer than one of OTLP can be");
    parts.push(part);
  }
  return Buffer.concat(parts);
}
