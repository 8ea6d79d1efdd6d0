/** An operator for tests: real gRPC over TLS on loopback; what it says is up to the test. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import { Metadata, Server, ServerCredentials, type ServerDuplexStream, status } from "@grpc/grpc-js";
import {
  type AgentMessage,
  CountersAcknowledgementSchema,
  type Hello,
  type OperatorMessage,
  OperatorMessageSchema,
  type State,
  WelcomeSchema,
} from "../../../gen/agent_pb.js";
import {
  type Subscriptions,
  type TelemetryReport,
  type TelemetryRequest,
  TelemetryRequestSchema,
} from "../../../gen/telemetry_pb.js";
import {
  DISTRIBUTION_SERVICE,
  LEADER_METADATA,
  PROTOCOL_VERSION,
  TELEMETRY_SERVICE,
} from "../../../protocol/service.ts";
import type { TestCertificates } from "./certificates.ts";

type AgentStream = ServerDuplexStream<AgentMessage, OperatorMessage>;
type TelemetryStream = ServerDuplexStream<TelemetryReport, TelemetryRequest>;
type Report<Case> = Extract<TelemetryReport["message"], { case: Case }>;
type Content<Case> = Extract<AgentMessage["message"], { case: Case }>;

/** One connection of an agent. */
export interface AgentConnection {
  token: string;
  hello: Hello;
  send(...states: State[]): void;
  acknowledgeCounters(sequence: bigint): void;
  /** Breaks it. */
  fail(code: status): void;
}

export class FakeOperator {
  readonly #server: Server;
  readonly #listener = createServer();
  readonly #sockets = new Set<Socket>();
  readonly connections: AgentConnection[] = [];
  readonly messages: AgentMessage[] = [];
  readonly reports: TelemetryReport[] = [];
  /** Streams of telemetry, as they were opened. */
  readonly telemetry: TelemetryStream[] = [];
  /** False: what comes on streams of telemetry stays where it is. */
  readsTelemetry = true;
  port = 0;
  /** Set: every agent is sent there. */
  leader: string | null = null;
  reportInterval = 100;
  violationsMax = 10;

  constructor() {
    this.#server = new Server();
    this.#server.addService(DISTRIBUTION_SERVICE, { connect: (stream: AgentStream) => this.#accept(stream) });
    this.#server.addService(TELEMETRY_SERVICE, { report: (stream: TelemetryStream) => this.#acceptTelemetry(stream) });
  }

  async start({ certificate, key }: TestCertificates, port = 0): Promise<void> {
    const credentials = ServerCredentials.createSsl(null, [{ cert_chain: certificate, private_key: key }]);
    const injector = this.#server.createConnectionInjector(credentials);
    this.#listener.on("connection", (socket) => {
      this.#sockets.add(socket.once("close", () => this.#sockets.delete(socket)).on("error", () => {}));
      injector.injectConnection(socket);
    });
    await once(this.#listener.listen(port, "127.0.0.1"), "listening");
    this.port = (this.#listener.address() as AddressInfo).port;
  }

  /** With connections whose handshake is not over, which gRPC does not know yet. */
  stop(): void {
    this.#listener.close();
    this.#server.forceShutdown();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** What agents have said of one kind. */
  said<Case extends NonNullable<AgentMessage["message"]["case"]>>(kind: Case): Content<Case>["value"][] {
    return this.messages.flatMap(({ message }) =>
      message.case === kind ? [message.value as Content<Case>["value"]] : [],
    );
  }

  /** What agents have reported of one kind of telemetry. */
  reported<Case extends NonNullable<TelemetryReport["message"]["case"]>>(kind: Case): Report<Case>["value"][] {
    return this.reports.flatMap(({ message }) =>
      message.case === kind ? [message.value as Report<Case>["value"]] : [],
    );
  }

  /** On the latest stream of telemetry. */
  subscribe(value: Subscriptions): void {
    const message = { case: "subscriptions" as const, value };
    this.telemetry.at(-1)?.write(create(TelemetryRequestSchema, { message }));
  }

  #acceptTelemetry(stream: TelemetryStream): void {
    this.telemetry.push(stream);
    stream.on("error", () => stream.end());
    stream.on("end", () => stream.end());
    if (this.readsTelemetry) stream.on("data", (report: TelemetryReport) => this.reports.push(report));
  }

  #accept(stream: AgentStream): void {
    if (this.leader !== null) {
      const metadata = new Metadata();
      metadata.set(LEADER_METADATA, this.leader);
      stream.emit("error", { code: status.UNAVAILABLE, details: "not the leader", metadata });
      return;
    }
    stream.on("error", () => stream.end());
    stream.on("end", () => stream.end());
    stream.on("data", (message: AgentMessage) => {
      this.messages.push(message);
      if (message.message.case === "hello") this.#welcome(stream, message.message.value);
    });
  }

  #welcome(stream: AgentStream, hello: Hello): void {
    const send = (message: OperatorMessage["message"]) => stream.write(create(OperatorMessageSchema, { message }));
    const { reportInterval, violationsMax } = this;
    send({
      case: "welcome",
      value: create(WelcomeSchema, {
        protocol: PROTOCOL_VERSION,
        version: "test",
        reportIntervalMilliseconds: reportInterval,
        violationsMax,
      }),
    });
    this.connections.push({
      token: String(stream.metadata.get("authorization")[0] ?? ""),
      hello,
      send: (...states) => {
        for (const value of states) send({ case: "state", value });
      },
      acknowledgeCounters: (sequence) =>
        send({ case: "countersAcknowledgement", value: create(CountersAcknowledgementSchema, { sequence }) }),
      fail: (code) => stream.emit("error", { code, details: "a test broke it" }),
    });
  }
}
