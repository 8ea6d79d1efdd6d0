/**
 * Which protocol a flow speaks, recognised by the bytes of its first payload and never by its port. Stated independently of
 * bpf/include/verdict/application.h; fuzzing compares the two.
 */
import { parseDns } from "./dns/dns.ts";

export type Application = "dns" | "http" | "tls";

/** RFC 9110, section 9, and RFC 5789: a request may begin with one of them and a space, whatever follows. */
const HTTP_METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
/** Beginnings of requests, of the HTTP/2 preface (RFC 9113, 3.4) and of a response's status line. */
const HTTP_BEGINNINGS = [...HTTP_METHODS.map((method) => `${method} `), "PRI * HTTP/2.0", "HTTP/1."];
/** Any token (RFC 9110, 5.6.2) as method, and what a request's target begins with: a path, `*`, or an address. */
const HTTP_REQUEST = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,24} (\/|\*|http)/;
/** Empty lines that may stand before a request: RFC 9112, 2.2. */
const EMPTY_LINES = /^(\r\n){0,4}/;
/** Of the first payload, so much is looked at for what may stand before the application's first byte. */
const HEAD_MAX = 576;

/** HAProxy's proxy-protocol.txt, 2.1: a line of at most 107 bytes. */
const PROXY_TEXT = /^PROXY [\s\S]*?\r\n/;
const PROXY_TEXT_MAX = 107;
/** 2.2: a signature, version and command, and the length of the rest. */
const PROXY_SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";
const PROXY_BINARY_MAX = 536;

const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 3;
const TLS_MINOR_MAX = 4;
const CLIENT_HELLO = 1;
const SERVER_HELLO = 2;

/**
 * Recognises a flow's first payload, in whichever direction it goes.
 * @param transport DNS has its length before it on TCP, and the others may have a preface.
 * @param mayHavePreface whether a PROXY header or empty lines may come before it: once in a flow.
 * @returns `preface` if it is nothing but what may stand before, null if it is none of the known protocols.
 */
export function recognizeApplication(
  payload: Uint8Array,
  transport: "tcp" | "other",
  mayHavePreface = true,
): Application | "preface" | null {
  const head = Buffer.from(payload.subarray(0, HEAD_MAX)).toString("latin1");
  const hasPreface = transport === "tcp" && mayHavePreface;
  const start = hasPreface ? proxyLength(head) : 0;
  const lines = hasPreface ? (EMPTY_LINES.exec(head.slice(start))?.[0].length ?? 0) : 0;
  if (start + lines > 0 && start + lines === payload.length) return "preface";
  if (isHttp(head.slice(start + lines))) return "http";
  if (isTls(payload.subarray(start))) return "tls";
  if (start > 0) return null;
  const message = transport === "tcp" ? prefixedMessage(payload) : payload;
  return message !== null && parseDns(message) !== null ? "dns" : null;
}

/** The length of the PROXY header that the payload begins with, 0 if there is none. */
function proxyLength(head: string): number {
  const line = PROXY_TEXT.exec(head)?.[0];
  if (line !== undefined) return line.length <= PROXY_TEXT_MAX ? line.length : 0;
  const isBinary = head.startsWith(PROXY_SIGNATURE) && head.length >= 16 && head.charCodeAt(12) >> 1 === 0x10;
  const size = isBinary ? 16 + ((head.charCodeAt(14) << 8) | head.charCodeAt(15)) : 0;
  return size <= PROXY_BINARY_MAX && size <= head.length ? size : 0;
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

function isHttp(text: string): boolean {
  return HTTP_BEGINNINGS.some((beginning) => text.startsWith(beginning)) || HTTP_REQUEST.test(text);
}
