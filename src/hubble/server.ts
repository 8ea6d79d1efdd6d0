/** Serves Hubble's API (observer.Observer) over gRPC, so that its command, its user interface and its relay can ask for records as flows. */
import { chmodSync, lstatSync, rmSync } from "node:fs";
import { create, type DescService, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { causeText, PortcullisError } from "../api/errors.ts";
import type { AnswerEnd, RecordQuery } from "../flow/query.ts";
import { type AgentEvent, isVerdict } from "../flow/record.ts";
import {
  Health,
  type HealthCheckResponse,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../gen/health_pb.js";
import {
  type GetFlowsRequest,
  type GetFlowsResponse,
  GetFlowsResponseSchema,
  GetNamespacesResponseSchema,
  GetNodesResponseSchema,
  NodeState,
  Observer,
  ServerStatusResponseSchema,
} from "../gen/observer_pb.js";
import { flowOf, lostOf, timeOf } from "./flow-message.ts";
import { type FlowQuestion, questionOf } from "./questions.ts";

/** Certificates of a server that others reach: clients show one, too. PEM. */
export interface ServeCertificates {
  certificate: string;
  key: string;
  /** Of authorities that clients' certificates are checked against. */
  clientCa: string;
}

export interface ServeSettings {
  /** `host:port`, or `unix:` and a path. */
  address: string;
  /** Null: the address is reached from this machine alone. */
  certificates: ServeCertificates | null;
  /** Of the agent, for clients that ask. */
  version: string;
}

/** Whom questions are about. */
export interface FlowSource {
  node: string;
  /** Lines of records, and the end (src/flow/query.ts). @throws Error where nothing can be answered */
  answer(
    query: RecordQuery,
    sink: { write(lines: readonly string[]): Promise<boolean>; signal: AbortSignal },
  ): Promise<void>;
  /** Since the start, in milliseconds since 1970, and how many records there were. */
  seen(): { since: number; count: number; namespaces: readonly string[] };
}

/** Each reads for as long as it wants. */
const QUESTIONS_MAX = 16;
const REQUEST_BYTES_MAX = 256 * 1024;
const NS_PER_MS = 1_000_000n;

/** Serves until it is closed. @returns ends it @throws Error of the system, where the address cannot be had */
export async function serveHubble(settings: ServeSettings, source: FlowSource): Promise<() => void> {
  const { address, certificates } = settings;
  const server = new Server({
    "grpc.max_receive_message_length": REQUEST_BYTES_MAX,
    "grpc.max_concurrent_streams": QUESTIONS_MAX,
  });
  server.addService(definition(Observer), handlers(source, settings));
  server.addService(definition(Health), {
    Check: (_: unknown, done: sendUnaryData<HealthCheckResponse>) =>
      done(null, create(HealthCheckResponseSchema, { status: HealthCheckResponse_ServingStatus.SERVING })),
  });
  const path = /^unix:(?:\/\/)?(.+)/.exec(address)?.[1];
  // Of an agent that was killed: whoever serves here holds the agent's lock.
  if (path !== undefined && lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path);
  await new Promise<void>((settle, fail) => {
    server.bindAsync(address, credentialsOf(certificates), (error) => (error === null ? settle() : fail(error)));
  });
  if (path !== undefined) chmodSync(path, 0o600);
  return () => server.forceShutdown();
}

function credentialsOf(certificates: ServeCertificates | null): ServerCredentials {
  if (certificates === null) return ServerCredentials.createInsecure();
  const { certificate, key, clientCa } = certificates;
  const pair = { cert_chain: Buffer.from(certificate), private_key: Buffer.from(key) };
  return ServerCredentials.createSsl(Buffer.from(clientCa), [pair], true);
}

function definition(service: DescService): ServiceDefinition {
  const methods = service.methods.map(({ name, input, output, methodKind }) => [
    name,
    {
      path: `/${service.typeName}/${name}`,
      ...{ requestStream: false, responseStream: methodKind === "server_streaming" },
      requestSerialize: (message: MessageShape<typeof input>) => Buffer.from(toBinary(input, message)),
      requestDeserialize: (bytes: Buffer) => fromBinary(input, bytes, { readUnknownFields: false }),
      responseSerialize: (message: MessageShape<typeof output>) => Buffer.from(toBinary(output, message)),
      responseDeserialize: (bytes: Buffer) => fromBinary(output, bytes),
    },
  ]);
  return Object.fromEntries(methods) as ServiceDefinition;
}

function handlers(source: FlowSource, { address, certificates, version }: ServeSettings) {
  let asking = 0;
  const unary =
    <Response>(response: () => Response) =>
    (_: ServerUnaryCall<unknown, Response>, done: sendUnaryData<Response>) =>
      done(null, response());
  const nothing = (call: ServerWritableStream<unknown, unknown>) => call.end();
  const uptime = () => BigInt(Date.now() - source.seen().since) * NS_PER_MS;
  const flows = () => BigInt(source.seen().count);
  return {
    async GetFlows(call: ServerWritableStream<GetFlowsRequest, GetFlowsResponse>) {
      if (asking >= QUESTIONS_MAX) {
        return refuse(call, status.RESOURCE_EXHAUSTED, `${asking} questions are being answered; ask again`);
      }
      asking += 1;
      try {
        await answer(call, source);
      } finally {
        asking -= 1;
      }
    },
    GetAgentEvents: nothing,
    GetDebugEvents: nothing,
    GetNodes: unary(() =>
      create(GetNodesResponseSchema, {
        nodes: [
          {
            ...{ name: source.node, version, address, state: NodeState.NODE_CONNECTED },
            tls: { enabled: certificates !== null },
            ...{ uptimeNs: uptime(), numFlows: flows(), seenFlows: flows() },
          },
        ],
      }),
    ),
    GetNamespaces: unary(() =>
      create(GetNamespacesResponseSchema, { namespaces: source.seen().namespaces.map((namespace) => ({ namespace })) }),
    ),
    ServerStatus: unary(() =>
      create(ServerStatusResponseSchema, {
        ...{ numFlows: flows(), seenFlows: flows(), uptimeNs: uptime(), version },
        ...{ numConnectedNodes: 1, numUnavailableNodes: 0 },
        flowsRate: Number(flows()) / Math.max(1, Number(uptime() / NS_PER_MS) / 1000),
      }),
    ),
  };
}

function refuse(call: ServerWritableStream<unknown, unknown>, code: status, details: string): void {
  call.emit("error", { code, details, metadata: new Metadata() });
}

async function answer(
  call: ServerWritableStream<GetFlowsRequest, GetFlowsResponse>,
  source: FlowSource,
): Promise<void> {
  let question: FlowQuestion;
  try {
    question = questionOf(call.request, Date.now());
  } catch (cause) {
    if (!(cause instanceof PortcullisError)) throw cause;
    return refuse(call, status.INVALID_ARGUMENT, cause.message);
  }
  const closed = new AbortController();
  call.once("cancelled", () => closed.abort());
  call.once("close", () => closed.abort());
  const responses = new Responses(question, source.node);
  try {
    await source.answer(question.query, {
      signal: closed.signal,
      async write(lines) {
        let hasRoom = true;
        for (const response of lines.flatMap((line) => responses.of(line))) hasRoom = call.write(response);
        if (!hasRoom && !closed.signal.aborted) await drained(call, closed.signal);
        return !closed.signal.aborted;
      },
    });
    call.end();
  } catch (cause) {
    refuse(call, status.UNAVAILABLE, causeText(cause));
  }
}

function drained(call: ServerWritableStream<unknown, unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((settle) => {
    call.once("drain", settle);
    signal.addEventListener("abort", () => settle(), { once: true });
  });
}

/** Lines of an answer as responses. */
class Responses {
  readonly #question: FlowQuestion;
  readonly #node: string;
  /** Losses that were said. */
  #lost = 0;

  constructor(question: FlowQuestion, node: string) {
    this.#question = question;
    this.#node = node;
  }

  of(line: string): GetFlowsResponse[] {
    const record = JSON.parse(line) as AgentEvent | AnswerEnd;
    if (record.type === "end") return this.#end(record);
    if (record.type === "lost") return [this.#lostResponse(record, record.count)];
    if (!isVerdict(record)) return [];
    const flow = this.#question.mask(flowOf(record));
    return [this.#response({ case: "flow", value: flow }, record)];
  }

  #end({ lost, damaged, forgottenBefore, problem }: AnswerEnd): GetFlowsResponse[] {
    const now = { time: new Date().toISOString() };
    const problems = [
      ...(damaged > 0 ? [`${damaged} segments of this time can be read in part only`] : []),
      ...(forgottenBefore === undefined ? [] : [`what is older than ${forgottenBefore} is not kept any more`]),
      ...(problem === undefined ? [] : [problem]),
    ];
    const value = { stateChange: NodeState.NODE_ERROR, nodeNames: [this.#node], message: problems.join("; ") };
    return [
      ...(lost > this.#lost ? [this.#lostResponse({ ...now, where: "queue" }, lost - this.#lost)] : []),
      ...(problems.length === 0 ? [] : [this.#response({ case: "nodeStatus", value }, now)]),
    ];
  }

  #lostResponse(
    record: { time: string; where: Parameters<typeof lostOf>[0]["where"] },
    count: number,
  ): GetFlowsResponse {
    this.#lost += count;
    return this.#response({ case: "lostEvents", value: lostOf({ ...record, count }) }, record);
  }

  #response(responseTypes: object, record: { time: string }): GetFlowsResponse {
    return create(GetFlowsResponseSchema, {
      responseTypes: responseTypes as GetFlowsResponse["responseTypes"],
      nodeName: this.#node,
      time: timeOf(record),
    });
  }
}
