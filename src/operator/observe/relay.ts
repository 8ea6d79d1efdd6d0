/**
 * An observer has come to an operator that does not lead, and only the leader has the agents: what it asks, and what it gets, goes
 * through. All replicas have the same certificate; by that the leader is known, before it is shown the observer's token.
 */
import { X509Certificate } from "node:crypto";
import type { ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import { pipeline } from "node:stream";
import type { TLSSocket } from "node:tls";
import { causeText } from "../../api/errors.ts";
import { http } from "../../net/http.ts";
import { OBSERVE_PATH } from "../../protocol/observe.ts";
import { ObserveRefusal } from "./refusal.ts";

/** Says that an operator has sent the request on: it goes no further. */
export const RELAYED_HEADER = "x-portcullis-relayed";

const CONNECT_MS = 5_000;

export interface RelayTarget {
  host: string;
  port: number;
  /** Of this replica, PEM; null: no encryption. */
  certificate: Buffer | null;
}

/**
 * Sends the request on, and the answer back, until either side ends.
 * @throws ObserveRefusal where the leader cannot be reached
 */
export async function relay(body: string, target: RelayTarget, response: ServerResponse): Promise<void> {
  const answer = await ask(body, target, response).catch((cause: unknown) => {
    const message = `the operator that leads cannot be reached at ${target.host}: ${causeText(cause)}`;
    throw new ObserveRefusal("ServiceUnavailable", message, { cause });
  });
  response.writeHead(answer.statusCode ?? 502, {
    "content-type": answer.headers["content-type"] ?? "application/json",
  });
  response.flushHeaders();
  // Where it breaks off, both ends are: the observer has had no last word, by which it knows.
  pipeline(answer, response, () => {});
}

function ask(body: string, { host, port, certificate }: RelayTarget, response: ServerResponse) {
  const common = {
    host,
    port,
    path: OBSERVE_PATH,
    method: "POST",
    agent: false,
    headers: {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      [RELAYED_HEADER]: "1",
    },
  } as const;
  return new Promise<IncomingMessage>((settle, fail) => {
    const request =
      certificate === null ? http.request(common) : https.request({ ...common, rejectUnauthorized: false });
    const late = setTimeout(() => request.destroy(new Error(`no answer within ${CONNECT_MS} ms`)), CONNECT_MS);
    request.on("response", (answer) => {
      clearTimeout(late);
      settle(answer);
    });
    request.on("error", (cause) => {
      clearTimeout(late);
      fail(cause);
    });
    response.on("close", () => request.destroy());
    if (certificate === null) request.end(body);
    else request.on("socket", (socket) => sendToSame(request, socket as TLSSocket, certificate, body));
  });
}

/** Nothing is written, not even headers, before the other end is known. */
function sendToSame(request: ClientRequest, socket: TLSSocket, certificate: Buffer, body: string): void {
  socket.on("secureConnect", () => {
    const theirs = socket.getPeerX509Certificate()?.fingerprint256;
    if (theirs === new X509Certificate(certificate).fingerprint256) request.end(body);
    else request.destroy(new Error("it has another certificate than this operator"));
  });
}
