/**
 * Questions about records, over HTTP on a unix socket that only its owner may use:
 *
 *     POST /v1/records   a question (src/flow/query.ts) as JSON; records come back, one a line, and an end that says what is missing
 *     GET /v1/state      how the keeping goes
 */
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import http from "node:http";
import { dirname } from "node:path";
import { causeText, PortcullisError } from "../../api/errors.ts";
import { checkQuery, type RecordQuery } from "../../flow/query.ts";
import { HTTP_SERVER_OPTIONS } from "../../net/http-limits.ts";
import type { AnswerSink, Keeper } from "./keeper.ts";
import type { RecordsState } from "./messages.ts";
import { RECORDS_PATH, STATE_PATH } from "./paths.ts";

const QUESTION_BYTES_MAX = 64 * 1024;
/** Each holds a segment in memory, and reads for as long as it wants. */
const QUESTIONS_MAX = 16;

export interface RecordsSource {
  /** Null: nothing can be kept, as the state says. */
  keeper(): Keeper | null;
  state(): RecordsState;
}

/** Serves until it is closed. @throws Error of the system, where the socket cannot be made */
export async function serveRecords(socket: string, source: RecordsSource): Promise<http.Server> {
  let asking = 0;
  const server = http.createServer(HTTP_SERVER_OPTIONS, async (request, response) => {
    if (request.method === "GET" && request.url === STATE_PATH) return tell(response, 200, source.state());
    if (request.method !== "POST" || request.url !== RECORDS_PATH) {
      return tell(response, 404, { message: `there are POST ${RECORDS_PATH} and GET ${STATE_PATH}` });
    }
    if (asking >= QUESTIONS_MAX)
      return tell(response, 503, { message: `${asking} questions are being answered; ask again` });
    asking += 1;
    try {
      await answer(request, response, source);
    } finally {
      asking -= 1;
    }
  });
  mkdirSync(dirname(socket), { recursive: true });
  // Of an agent that was killed: whoever serves here holds the agent's lock.
  rmSync(socket, { force: true });
  await new Promise<void>((settle, fail) => {
    server.once("error", fail);
    server.listen({ path: socket }, () => settle());
  });
  chmodSync(socket, 0o600);
  return server;
}

async function answer(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  source: RecordsSource,
): Promise<void> {
  try {
    const query = await question(request);
    const keeper = source.keeper();
    if (keeper === null) return tell(response, 503, { message: source.state().problem });
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    response.flushHeaders();
    await keeper.answer(query, responseSink(response));
    response.end();
  } catch (cause) {
    // An answer that has begun, and has no end, is known as such by whoever reads it.
    if (response.headersSent) response.destroy();
    else if (cause instanceof PortcullisError) tell(response, 400, { code: cause.code, message: cause.message });
    else tell(response, 500, { message: causeText(cause) });
  }
}

async function question(request: http.IncomingMessage): Promise<RecordQuery> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > QUESTION_BYTES_MAX) return checkQuery("too long");
    parts.push(part);
  }
  let value: unknown;
  try {
    value = JSON.parse(Buffer.concat(parts).toString());
  } catch {
    return checkQuery("not JSON");
  }
  return checkQuery(value);
}

function responseSink(response: http.ServerResponse): AnswerSink {
  const closed = new AbortController();
  response.once("close", () => closed.abort());
  return {
    signal: closed.signal,
    async write(lines) {
      if (closed.signal.aborted) return false;
      if (response.write(`${lines.join("\n")}\n`)) return true;
      await new Promise<void>((settle) => {
        response.once("drain", settle);
        closed.signal.addEventListener("abort", () => settle(), { once: true });
      });
      return !closed.signal.aborted;
    },
  };
}

function tell(response: http.ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(body)}\n`);
}
