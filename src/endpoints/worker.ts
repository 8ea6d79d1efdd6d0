/** The thread of a process's endpoints: probes, and metrics for whoever may read them. See endpoints.ts. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { causeText } from "../api/errors.ts";
import { type ConnectionLimitOptions, ConnectionLimits, peerOf } from "../net/connection-limits.ts";
import { http } from "../net/http.ts";
import { HTTP_SERVER_OPTIONS, limitHttpServer } from "../net/http-limits.ts";
import type { EndpointListener, EndpointsWorkerData, FromWorker, ToWorker } from "./messages.ts";
import { MetricsText } from "./metrics-text.ts";
import { TokenVerdicts } from "./token-verdicts.ts";

/** Who reads metrics, or probes, comes from few addresses, and not often. */
const CONNECTIONS = {
  unauthenticated: 64,
  unauthenticatedByPeer: 8,
  burst: 20,
  perSecond: 5,
  patience: 10_000,
  bytes: 128 * 1024,
};
/** A process that has not been heard of for so long does not live. */
const ALIVE_MS = 15_000;
/** And for so long, is too busy to be sent work. */
const READY_MS = 5_000;

const data = workerData as EndpointsWorkerData;
const health = { problems: ["it is starting"], heard: performance.now() };
const text = new MetricsText(() => post({ type: "render" }));
const verdicts = new TokenVerdicts((id, token) => post({ type: "review", id, token }));

function post(message: FromWorker): void {
  parentPort?.postMessage(message);
}

parentPort?.on("message", (message: ToWorker) => {
  if (message.type === "beat") Object.assign(health, { problems: message.problems, heard: performance.now() });
  else if (message.type === "rendered") text.rendered(message);
  else verdicts.reviewed(message.id, message.allowed);
});

function answerProbe(request: IncomingMessage, response: ServerResponse): void {
  const silence = performance.now() - health.heard;
  const late = `the process has not been heard of for ${Math.round(silence / 1000)} s`;
  if (request.url === "/healthz") answer(response, silence > ALIVE_MS ? [late] : []);
  else if (request.url === "/readyz") answer(response, silence > READY_MS ? [late] : health.problems);
  else end(response, 404, "there are /healthz and /readyz");
}

function answer(response: ServerResponse, problems: string[]): void {
  end(response, problems.length === 0 ? 200 : 503, problems.length === 0 ? "ok" : problems.join("\n"));
}

async function answerMetrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const peer = peerOf(request.socket);
  if (request.url?.split("?")[0] !== "/metrics") return end(response, 404, "there is /metrics");
  if (data.needsToken) {
    const verdict = await verdicts.of(request.headers.authorization);
    if (verdict === "none")
      return end(response, 401, "send a token that may get /metrics: authorization: Bearer TOKEN");
    if (verdict === "no")
      return end(response, 403, "the token may not get /metrics; see the chart's role for readers of metrics");
    if (verdict === "later") return end(response, 503, "whether the token may get /metrics cannot be asked now");
    // An answer is soon taken. Who may read, and does not, would keep its text in memory.
    metricsLimits.remember(peer);
  }
  const rendered = await text.get();
  if (rendered === null) return end(response, 503, "there are no metrics now");
  if (!response.destroyed) response.writeHead(200, { "content-type": rendered.contentType }).end(rendered.text);
}

/** Whoever is refused is not waited for. */
function end(response: ServerResponse, status: number, words: string): void {
  if (response.destroyed) return;
  const headers = { "content-type": "text/plain", connection: "close" };
  response.writeHead(status, headers).end(`${words}\n`);
}

function limitsOf(): ConnectionLimits {
  const options: ConnectionLimitOptions = { ...CONNECTIONS, onDropped: (reason) => post({ type: "dropped", reason }) };
  return new ConnectionLimits(options);
}

async function listen(server: HttpServer, limits: ConnectionLimits, { host, port, address }: EndpointListener) {
  limitHttpServer(server, limits);
  await new Promise<void>((settle, fail) => {
    server.once("error", (cause) => fail(new Error(causeText(cause), { cause: address })));
    server.listen(port, host, settle);
  });
  return (server.address() as AddressInfo).port;
}

async function metricsServer(): Promise<HttpServer> {
  const take = (request: IncomingMessage, response: ServerResponse) => {
    response.on("error", () => {});
    answerMetrics(request, response).catch(() => response.destroy());
  };
  if (data.tls === null) return http.createServer(HTTP_SERVER_OPTIONS, take);
  // An agent has no use for these, and a thread of its own costs memory on every node.
  const { default: https } = await import("node:https");
  const { CertificateFiles } = await import("../net/certificate-files.ts");
  const { createLogger } = await import("../telemetry/logger.ts");
  const server = https.createServer(HTTP_SERVER_OPTIONS, take);
  const files = new CertificateFiles(data.tls, createLogger());
  files.addIdentityCertificateListener((pair) => {
    if (pair !== null) server.setSecureContext({ cert: pair.certificate, key: pair.privateKey });
  });
  return server;
}

const metricsLimits = limitsOf();

async function serve(): Promise<void> {
  const { probe, metrics } = data;
  const probePort =
    probe === null ? 0 : await listen(http.createServer(HTTP_SERVER_OPTIONS, answerProbe), limitsOf(), probe);
  const metricsPort = metrics === null ? 0 : await listen(await metricsServer(), metricsLimits, metrics);
  post({ type: "listening", probePort, metricsPort });
}

serve().catch((cause: Error) =>
  post({ type: "failed", address: typeof cause.cause === "string" ? cause.cause : null, reason: causeText(cause) }),
);
