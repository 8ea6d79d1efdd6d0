/**
 * For tests and benchmarks: pods without rights that flood what an operator listens on, in a thread of their own, so that their work is
 * not that of who measures. They come from another address of the loopback network.
 */
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { DISTRIBUTION_SERVICE } from "../../protocol/service.ts";

export type Flood = "streams" | "metrics";

const ADDRESS = "127.0.0.66";
const CONNECTIONS = { streams: 100, metrics: 400 };
const STREAMS = 100;
/** Between two tries of one connection. */
const AGAIN_MS = 20;

/** Begins a flood of a port; returns how to end it, with the number of streams or requests that it made. */
export function startFlood(flood: Flood, port: number): { end: () => Promise<number> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: { flood, port } });
  let made = 0;
  worker.on("message", (count: number) => {
    made = count;
  });
  return {
    end: async () => {
      await worker.terminate();
      return made;
    },
  };
}

let made = 0;

/** Many streams without a valid token over one connection, and again as soon as it has ended. */
function streams(port: number): void {
  const socket = net.connect({ port, host: "127.0.0.1", localAddress: ADDRESS });
  const client = http2.connect("http://operator", { createConnection: () => socket });
  client.on("error", () => {});
  client.on("close", () => setTimeout(() => streams(port), AGAIN_MS));
  socket.on("close", () => client.destroy());
  for (let stream = 0; stream < STREAMS; stream += 1) {
    made += 1;
    const request = client.request({
      ":method": "POST",
      ":path": DISTRIBUTION_SERVICE.connect.path,
      "content-type": "application/grpc",
      te: "trailers",
      authorization: `Bearer ${made}`,
    });
    request.on("error", () => {});
  }
}

/** One question for metrics after the other over one connection. */
function metrics(port: number): void {
  made += 1;
  const request = http.get({ port, host: "127.0.0.1", localAddress: ADDRESS, path: "/metrics" }, (answer) => {
    answer.resume();
    answer.on("error", () => {});
  });
  request.on("error", () => {});
  request.on("close", () => setTimeout(() => metrics(port), AGAIN_MS));
}

if (!isMainThread && (workerData as { flood?: Flood } | null)?.flood !== undefined) {
  const { flood, port } = workerData as { flood: Flood; port: number };
  const one = flood === "streams" ? streams : metrics;
  for (let connection = 0; connection < CONNECTIONS[flood]; connection += 1) one(port);
  setInterval(() => parentPort?.postMessage(made), 100);
}
