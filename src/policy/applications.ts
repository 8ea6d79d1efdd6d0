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
  if (transport === "tcp") return payload.length > 2 && parseDns(tcpMessage(payload)) !== null ? "dns" : null;
  return parseDns(payload) === null ? null : "dns";
}

/** The message behind a length prefix, or as much of it as the segment holds. */
export function tcpMessage(payload: Uint8Array): Uint8Array {
  const length = ((payload[0] as number) << 8) | (payload[1] as number);
  return payload.subarray(2, 2 + length);
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
