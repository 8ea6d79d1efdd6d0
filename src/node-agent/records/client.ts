/** Asks a running agent about its records. */
import http from "node:http";
import { createInterface } from "node:readline";
import { causeCode, causeText, UsageError } from "../../api/errors.ts";
import type { RecordQuery } from "../../flow/query.ts";
import type { RecordsState } from "./messages.ts";
import { RECORDS_PATH, STATE_PATH } from "./paths.ts";

/** No agent answers there, or it does not take the question. Code PC_OBSERVE_SERVER. */
export class RecordsServerError extends UsageError {
  constructor(socket: string, why: string, options?: ErrorOptions) {
    super(`no answer about records from ${socket}: ${why}`, options, "PC_OBSERVE_SERVER");
  }
}

const WHYS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket; is the agent running, with the same folder of state?",
  ECONNREFUSED: "the agent that made it does not run any more",
  EACCES: "only its owner may ask; run this as root",
  EPERM: "only its owner may ask; run this as root",
  ENOTSOCK: "it is no socket",
  ENAMETOOLONG: "the path is too long for a socket",
};

/**
 * Lines of the answer, as they come. An answer that breaks off has no end among them.
 * @param signal ends it
 * @throws RecordsServerError
 */
export async function* askRecords(socket: string, query: RecordQuery, signal: AbortSignal): AsyncGenerator<string> {
  const response = await request(socket, { method: "POST", path: RECORDS_PATH, signal }, JSON.stringify(query));
  if (response.statusCode !== 200) throw new RecordsServerError(socket, await refusal(response));
  try {
    yield* createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY });
  } catch (cause) {
    // Aborted by us, or by the agent's end: what has come has come.
    if (causeCode(cause) === null) throw cause;
  }
}

/** How the keeping goes; null: no agent answers. */
export async function askRecordsState(socket: string): Promise<RecordsState | null> {
  try {
    const response = await request(socket, { method: "GET", path: STATE_PATH });
    return JSON.parse(await textOf(response)) as RecordsState;
  } catch (cause) {
    if (cause instanceof RecordsServerError) return null;
    throw cause;
  }
}

function request(socket: string, options: http.RequestOptions, body = ""): Promise<http.IncomingMessage> {
  return new Promise((settle, fail) => {
    http
      .request({ ...options, socketPath: socket, agent: false }, settle)
      .on("error", (cause) => {
        const why = WHYS[causeCode(cause) ?? ""] ?? causeText(cause);
        fail(new RecordsServerError(socket, why, { cause }));
      })
      .end(body);
  });
}

async function refusal(response: http.IncomingMessage): Promise<string> {
  const text = await textOf(response);
  try {
    return String((JSON.parse(text) as { message: unknown }).message);
  } catch {
    return `HTTP status ${response.statusCode}`;
  }
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of response as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts).toString();
}
