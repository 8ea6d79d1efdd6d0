/** A receiver of OTLP, over HTTP and gRPC, that answers as it is told, and keeps the bodies of the log records that it took. */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, type status } from "@grpc/grpc-js";
import { type LogRecord, LogRecordSchema, LogsRequestSchema, LogsResponseSchema } from "../../gen/otlp_pb.js";

/** Null: it takes the request. */
export type Fault =
  | null
  | { http: number }
  | { code: status; retryInfo?: boolean }
  /** It refuses so many of the records. */
  | { rejected: number };

export interface OtlpReceiver {
  endpoint: string;
  /** What it took, in order. */
  records: LogRecord[];
  /** Attributes of the resource that came last, as text. */
  resource: Record<string, string>;
  headers: Record<string, unknown>;
  /** What it answers to the next requests, one each; then it takes all. */
  faults: Fault[];
  requests: number;
  close(): Promise<void>;
}

/** @param port 0: any that is free */
export async function otlpReceiver(protocol: "grpc" | "http", port = 0): Promise<OtlpReceiver> {
  const receiver: OtlpReceiver = {
    ...{ endpoint: "", records: [], resource: {}, headers: {}, faults: [], requests: 0 },
    close: () => Promise.resolve(),
  };
  if (protocol === "http") await serveHttp(receiver, port);
  else await serveGrpc(receiver, port);
  return receiver;
}

/** Takes a request, unless it is to be refused. @returns what is wrong, and the response */
function take(receiver: OtlpReceiver, bytes: Uint8Array): { fault: Fault; response: Uint8Array } {
  receiver.requests += 1;
  const fault = receiver.faults.shift() ?? null;
  const request = fromBinary(LogsRequestSchema, bytes);
  const rejected = fault !== null && "rejected" in fault ? fault.rejected : 0;
  if (fault === null || rejected > 0) {
    for (const { resource, scopeLogs } of request.resourceLogs) {
      receiver.resource = Object.fromEntries(
        (resource?.attributes ?? []).map(({ key, value }) => [key, String(value?.value.value)]),
      );
      const records = scopeLogs.flatMap(({ logRecords }) => logRecords.map((one) => fromBinary(LogRecordSchema, one)));
      receiver.records.push(...records.slice(rejected));
    }
  }
  const response = create(LogsResponseSchema, { partialSuccess: { rejectedLogRecords: BigInt(rejected) } });
  return { fault, response: toBinary(LogsResponseSchema, response) };
}

async function serveHttp(receiver: OtlpReceiver, port: number): Promise<void> {
  const server = http.createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
    receiver.headers = { ...request.headers, ":path": request.url };
    const { fault, response: body } = take(receiver, Buffer.concat(parts));
    response.writeHead(fault !== null && "http" in fault ? fault.http : 200).end(body);
  });
  await new Promise<void>((settle) => server.listen(port, "127.0.0.1", settle));
  receiver.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  receiver.close = () =>
    new Promise((settle) => {
      server.close(() => settle());
      server.closeAllConnections();
    });
}

async function serveGrpc(receiver: OtlpReceiver, port: number): Promise<void> {
  const server = new Server();
  const bytes = (one: Uint8Array) => Buffer.from(one);
  server.addService(
    {
      Export: {
        path: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        ...{ requestStream: false, responseStream: false },
        ...{ requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes },
      },
    },
    {
      Export: (
        call: { request: Buffer; metadata: Metadata },
        done: (error: object | null, value?: Uint8Array) => void,
      ) => {
        receiver.headers = call.metadata.getMap();
        const { fault, response } = take(receiver, call.request);
        if (fault === null || !("code" in fault)) return done(null, response);
        const metadata = new Metadata();
        if (fault.retryInfo === true) metadata.set("grpc-status-details-bin", Buffer.from("\x1agoogle.rpc.RetryInfo"));
        done({ code: fault.code, details: "as it was told", metadata });
      },
    },
  );
  const bound = await new Promise<number>((settle, fail) => {
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, number) =>
      error === null ? settle(number) : fail(error),
    );
  });
  receiver.endpoint = `http://127.0.0.1:${bound}`;
  receiver.close = () => Promise.resolve(server.forceShutdown());
}
