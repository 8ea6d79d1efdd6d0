/** The server that observers connect to: HTTPS behind a Service, which the API server's proxy reaches. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { causeText } from "../../api/errors.ts";
import { ListenError, parseListenAddress } from "../../endpoints/endpoints.ts";
import type { TokenUser } from "../../kube/access/token-review.ts";
import { CertificateFiles } from "../../net/certificate-files.ts";
import { confine } from "../../net/confine.ts";
import { ConnectionLimits, type DropReason, peerOf } from "../../net/connection-limits.ts";
import { parseHostPort } from "../../net/host-port.ts";
import { http } from "../../net/http.ts";
import { HTTP_SERVER_OPTIONS, limitHttpServer } from "../../net/http-limits.ts";
import { OBSERVE_PATH, type ObserveRequest } from "../../protocol/observe.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { TokenBucket } from "../../timing/token-bucket.ts";
import type { ObserverAccess } from "./access.ts";
import type { ObserverHub } from "./hub.ts";
import { RecordStream, type RecordStreamOptions } from "./record-stream.ts";
import { ObserveRefusal } from "./refusal.ts";
import { RELAYED_HEADER, relay } from "./relay.ts";
import { parseObserveRequest } from "./request.ts";

export interface ObserveServerOptions {
  /** `host:port` or `:port`; port 0 takes any. */
  address: string;
  tls: { certificateFile: string; keyFile: string } | null;
  hub: ObserverHub;
  access: ObserverAccess;
  /** Null while this replica has the agents; else why not, and where agents find the leader, if that is known. */
  notServing: () => { message: string; leader: string } | null;
  onRequest: (result: "accepted" | "refused") => void;
  /** A connection was not taken, or ended again. */
  onDropped?: (reason: DropReason) => void;
  stream?: RecordStreamOptions;
  /** Milliseconds between two questions whether an observer still may. */
  recheckInterval?: number;
  log: Logger;
}

/** Who asks says so in the body, as the API server's proxy keeps the header to itself. A token has one or two thousand bytes. */
const BODY_BYTES_MAX = 16 * 1024;
/**
 * Anybody who reaches the port may ask, and each request is a question to the API server: so many at once, and so many a second. Those
 * who were let in before, as the API server's proxy was, have as many for themselves.
 */
const REQUESTS_BURST = 50;
const REQUESTS_PER_SECOND = 10;
const CONNECTIONS = {
  unauthenticated: 128,
  unauthenticatedByPeer: 32,
  burst: 64,
  perSecond: 10,
  patience: 15_000,
  bytes: 128 * 1024,
};
const RECHECK_MS = 60_000;
/** Observers come anew after this long, with fresh tokens. */
const STREAM_MS = 60 * 60_000;

export class ObserveServer {
  readonly #options: ObserveServerOptions;
  readonly #limits: ConnectionLimits;
  readonly #requests = new TokenBucket(REQUESTS_BURST, REQUESTS_PER_SECOND);
  readonly #knownRequests = new TokenBucket(REQUESTS_BURST, REQUESTS_PER_SECOND);
  #server: HttpServer | https.Server | null = null;
  #files: CertificateFiles | null = null;
  #certificate: Buffer | null = null;
  #port = 0;

  constructor(options: ObserveServerOptions) {
    this.#options = options;
    const { onDropped } = options;
    this.#limits = new ConnectionLimits({ ...CONNECTIONS, ...(onDropped === undefined ? {} : { onDropped }) });
  }

  get port(): number {
    return this.#port;
  }

  /** @throws ListenError, UnreadableError, UsageError */
  async listen(): Promise<void> {
    const { address } = this.#options;
    const { host, port } = parseListenAddress(address);
    const server = this.#makeServer();
    this.#server = server;
    limitHttpServer(server, this.#limits);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => this.#take(request, response));
    await new Promise<void>((settle, fail) => {
      server.once("error", (cause) => fail(new ListenError(address, cause)));
      server.listen(port, host, settle);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#files?.close();
    this.#options.hub.endAll("this operator ends");
    const server = this.#server;
    if (server === null) return;
    const closed = new Promise((settle) => server.close(settle));
    server.closeIdleConnections();
    const late = setTimeout(() => server.closeAllConnections(), 500);
    await closed;
    clearTimeout(late);
  }

  #makeServer(): HttpServer | https.Server {
    const { tls, log } = this.#options;
    if (tls === null) return http.createServer(HTTP_SERVER_OPTIONS);
    const server = https.createServer(HTTP_SERVER_OPTIONS);
    this.#files = new CertificateFiles(tls, log);
    this.#files.addIdentityCertificateListener((pair) => {
      if (pair === null) return;
      this.#certificate = pair.certificate;
      server.setSecureContext({ cert: pair.certificate, key: pair.privateKey });
    });
    return server;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const peer = peerOf(request.socket);
    confine({ what: "observe", peer, end: () => response.destroy() }, () => {
      response.on("error", () => {});
      this.#answer(request, response, peer).catch((cause: unknown) => this.#refuse(response, peer, refusalOf(cause)));
    });
  }

  #refuse(response: ServerResponse, peer: string, { status, reason, message, body }: ObserveRefusal): void {
    this.#options.onRequest("refused");
    // A flood is not to become one of lines.
    const level = reason === "TooManyRequests" ? "debug" : "warn";
    this.#options.log[level]({ peer, status, reason: message }, "an observer was not let in");
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(body));
    this.#limits.dismiss(peer);
  }

  async #answer(request: IncomingMessage, response: ServerResponse, peer: string): Promise<void> {
    if (request.method !== "POST" || request.url?.split("?")[0] !== OBSERVE_PATH) {
      throw new ObserveRefusal("NotFound", `there is POST ${OBSERVE_PATH}, and nothing else`);
    }
    const requests = this.#limits.isKnown(peer) ? this.#knownRequests : this.#requests;
    if (!requests.take()) throw new ObserveRefusal("TooManyRequests", "too many ask at once; try again");
    const body = await bodyOf(request);
    const elsewhere = this.#options.notServing();
    if (elsewhere !== null) {
      const { leader, message } = elsewhere;
      const address = parseHostPort(leader);
      if (address === null || request.headers[RELAYED_HEADER] !== undefined) {
        throw new ObserveRefusal("ServiceUnavailable", `${message}; try again`);
      }
      await relay(body, { host: address.host, port: this.#port, certificate: this.#certificate }, response);
      if (response.statusCode === 200) this.#limits.trust(peer);
      return;
    }
    const asked = parseObserveRequest(body);
    const { access, hub } = this.#options;
    const user = await access.authenticate(asked.token);
    await access.authorize(user, asked);
    this.#limits.trust(peer);
    hub.check(asked);
    if (!response.destroyed) this.#stream(asked, user, response);
  }

  #stream(asked: ObserveRequest, user: TokenUser, response: ServerResponse): void {
    const { hub, stream, recheckInterval = RECHECK_MS, log, onRequest } = this.#options;
    const about = { user: user.username, pod: `${asked.namespace}/${asked.pod}` };
    const ends: (() => void)[] = [];
    const output: RecordStream = new RecordStream(
      response,
      () => {
        for (const end of ends) end();
        log.info(about, "an observer has gone");
      },
      stream,
    );
    response.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" });
    response.flushHeaders();
    const recheck = setInterval(() => this.#recheck(asked, user, output), recheckInterval);
    const limit = setTimeout(() => output.end("an observation lasts an hour at most", true), STREAM_MS);
    ends.push(
      () => clearInterval(recheck),
      () => clearTimeout(limit),
      hub.observe(asked, output),
    );
    onRequest("accepted");
    log.info({ ...about, verdicts: asked.verdicts }, "a pod is observed");
  }

  /** A right that was taken away ends what it was for. An API server that is away ends nothing. */
  #recheck(asked: ObserveRequest, user: TokenUser, output: RecordStream): void {
    this.#options.access.authorize(user, asked).catch((cause: unknown) => {
      const refusal = refusalOf(cause);
      if (refusal.reason === "Forbidden") output.end(refusal.message, false);
      else
        this.#options.log.warn(
          { user: user.username, reason: refusal.message },
          "an observer's right cannot be checked",
        );
    });
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  if (Number(request.headers["content-length"] ?? 0) > BODY_BYTES_MAX) throw tooLong();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw tooLong();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function tooLong(): ObserveRefusal {
  return new ObserveRefusal("BadRequest", `the request is longer than ${BODY_BYTES_MAX} bytes`);
}

function refusalOf(cause: unknown): ObserveRefusal {
  if (cause instanceof ObserveRefusal) return cause;
  return new ObserveRefusal("InternalError", `the operator failed: ${causeText(cause)}`, { cause });
}
