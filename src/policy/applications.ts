/** Which protocol a flow speaks, told by the bytes of its first payload and never by its port. */
import { parseDns } from "./dns.ts";

export type Application = "dns" | "http" | "tls";

/** RFC 9110, section 9, and RFC 5789; a request begins with one of them and a space. */
const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/** Beginnings of requests, of the HTTP/2 preface (RFC 9113, 3.4) and of a response's status line. */
const HTTP_BEGINNINGS = [...HTTP_METHODS.map((method) => `${method} `), "PRI * HTTP/2.0", "HTTP/1."];

const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 3;
const TLS_MINOR_MAX = 4;
const CLIENT_HELLO = 1;
const SERVER_HELLO = 2;

/**
 * Recognises a flow's first payload, in whichever direction it goes.
 * @param transport DNS has its length before it on TCP.
 * @returns null if it is none of the known protocols.
 */
export function recognizeApplication(payload: Uint8Array, transport: "tcp" | "other"): Application | null {
  if (isTls(payload)) return "tls";
  if (isHttp(payload)) return "http";
  const message = transport === "tcp" ? prefixedMessage(payload) : payload;
  return message !== null && parseDns(message) !== null ? "dns" : null;
}

/** The message behind a length prefix, null if the segment does not hold all of it. */
function prefixedMessage(payload: Uint8Array): Uint8Array | null {
  if (payload.length < 2) return null;
  const end = 2 + (((payload[0] as number) << 8) | (payload[1] as number));
  return end > payload.length ? null : payload.subarray(2, end);
}

/** A record that holds a hello, RFC 8446, 5.1. */
function isTls(payload: Uint8Array): boolean {
  const [type, major, minor, , , message] = payload;
  if (type !== TLS_HANDSHAKE || major !== TLS_MAJOR || minor === undefined || minor > TLS_MINOR_MAX) return false;
  return message === CLIENT_HELLO || message === SERVER_HELLO;
}

function isHttp(payload: Uint8Array): boolean {
  const longest = Math.max(...HTTP_BEGINNINGS.map((text) => text.length));
  const text = String.fromCharCode(...payload.subarray(0, longest));
  return HTTP_BEGINNINGS.some((beginning) => text.startsWith(beginning));
}
