/** What every HTTP listener of ours keeps to: small heads, short waits, and few connections (connection-limits.ts). */
import type http from "node:http";
import type https from "node:https";
import type { Socket } from "node:net";
import type { ConnectionLimits } from "./connection-limits.ts";

/** Of the request line and all headers, bytes. A token of a service account has about a thousand. */
const HEAD_BYTES_MAX = 16 * 1024;
const HEADERS_MAX = 64;
/** Milliseconds that a head, and a whole request, may take; checked every second. */
const HEAD_MS = 5_000;
const REQUEST_MS = 10_000;
const CHECK_MS = 1_000;
/** A connection without a request. */
const IDLE_MS = 5_000;
const HANDSHAKE_MS = 5_000;

/** To make a server with. */
export const HTTP_SERVER_OPTIONS = {
  maxHeaderSize: HEAD_BYTES_MAX,
  headersTimeout: HEAD_MS,
  requestTimeout: REQUEST_MS,
  keepAliveTimeout: IDLE_MS,
  connectionsCheckingInterval: CHECK_MS,
  /** Of TLS; without TLS it has no meaning. */
  handshakeTimeout: HANDSHAKE_MS,
} as const;

/** Keeps a server to the limits. What goes wrong with a connection ends that connection. */
export function limitHttpServer(server: http.Server | https.Server, limits: ConnectionLimits): void {
  server.maxHeadersCount = HEADERS_MAX;
  // Before Node's own listener: a connection that is not taken is closed by then.
  server.prependListener("connection", (socket: Socket) => limits.admit(socket));
  server.on("clientError", (_: Error, socket: Socket) => socket.destroy());
  server.on("tlsClientError", (_: Error, socket: Socket) => socket.destroy());
}
