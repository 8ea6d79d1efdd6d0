/** The HTTP endpoints of a long-running command: /metrics, /healthz (is it alive) and /readyz (can it do its work). */
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";
import { causeText, PortcullisError, UsageError } from "../api/errors.ts";
import type { Logger } from "./logger.ts";

/** What is wrong, in words, one line each; none: all is well. */
export type HealthCheck = () => string[];

export interface EndpointOptions {
  /** `host:port`, `[::]:port` or `:port`; port 0 takes any. */
  address: string;
  registry: Registry;
  alive: HealthCheck;
  ready: HealthCheck;
  /** Called before metrics are read, to set those that are looked up. */
  collect?: () => void;
  log: Logger;
}

export interface Endpoints {
  port: number;
  close(): Promise<void>;
}

/** An address that cannot be listened on. Code PC_LISTEN. */
export class ListenError extends PortcullisError {
  constructor(address: string, cause: unknown) {
    super("PC_LISTEN", `cannot listen on ${address}: ${causeText(cause)}; choose another address`, { cause });
  }
}

/** @throws UsageError for an address that is none, ListenError where it cannot be had */
export async function serveEndpoints(options: EndpointOptions): Promise<Endpoints> {
  const { host, port } = parseListenAddress(options.address);
  const server = http.createServer((request, response) => {
    answer(options, request, response).catch((cause: unknown) => {
      options.log.error({ err: cause, path: request.url }, "cannot answer a request for metrics or health");
      response.writeHead(500).end();
    });
  });
  await new Promise<void>((settle, fail) => {
    server.once("error", (cause) => fail(new ListenError(options.address, cause)));
    server.listen(port, host, settle);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((settle) => server.close(settle));
    },
  };
}

/** @throws UsageError */
export function parseListenAddress(text: string): { host: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new UsageError(`${text} is not an address to listen on; write host:port or :port`);
  return { host: match[1] ?? (match[2] || "::"), port };
}

async function answer(
  { registry, alive, ready, collect }: EndpointOptions,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  switch (new URL(request.url ?? "/", "http://localhost").pathname) {
    case "/metrics":
      collect?.();
      response.writeHead(200, { "content-type": registry.contentType }).end(await registry.metrics());
      return;
    case "/healthz":
      return tell(response, alive());
    case "/readyz":
      return tell(response, ready());
    default:
      response.writeHead(404).end("there are /metrics, /healthz and /readyz\n");
  }
}

function tell(response: http.ServerResponse, problems: string[]): void {
  const text = problems.length === 0 ? "ok" : problems.join("\n");
  response.writeHead(problems.length === 0 ? 200 : 503, { "content-type": "text/plain" }).end(`${text}\n`);
}
