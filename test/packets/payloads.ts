/** First payloads of applications. */
import { text } from "./bytes.ts";

export const HTTP_REQUEST = text("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n");
export const HTTP_RESPONSE = text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
export const HTTP2_PREFACE = text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The beginnings of TLS records with a ClientHello and a ServerHello (RFC 8446, 5.1). */
export const CLIENT_HELLO = [0x16, 0x03, 0x01, 0x00, 0x2f, 0x01, 0x00, 0x00, 0x2b, 0x03, 0x03, ...Array(41).fill(0x5a)];
export const SERVER_HELLO = [0x16, 0x03, 0x03, 0x00, 0x2a, 0x02, 0x00, 0x00, 0x26, 0x03, 0x03, ...Array(36).fill(0x5a)];
export const SSH_BANNER = text("SSH-2.0-OpenSSH_9.2\r\n");
