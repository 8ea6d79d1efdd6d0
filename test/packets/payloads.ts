/** First payloads of applications. */
import { text } from "./bytes.ts";

export const HTTP_REQUEST = text("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
export const HTTP_RESPONSE = text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
export const HTTP2_PREFACE = text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The beginnings of TLS records with a ClientHello and a ServerHello (RFC 8446, 5.1). */
export const CLIENT_HELLO = [0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, ...Array(41).fill(0x5a)];
export const SERVER_HELLO = [0x16, 0x03, 0x03, 0x00, 0x2a, 0x02, 0x00, 0x00, 0x26, 0x03, 0x03, ...Array(36).fill(0x5a)];
/** What load balancers put before a connection's first bytes: HAProxy's proxy-protocol.txt, 2.1 and 2.2. */
export const PROXY_LINE = text("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n");
export const PROXY_SIGNATURE = [...text("\r\n\r\n"), 0, ...text("\r\nQUIT\n")];
export const PROXY_HEADER = [...PROXY_SIGNATURE, 0x21, 0x11, 0, 12, 192, 0, 2, 1, 192, 0, 2, 2, 0xdc, 0x04, 0x01, 0xbb];
export const SSH_BANNER = text("SSH-2.0-OpenSSH_9.2\r\n");
