/** For tests and benchmarks: an agent without a kernel. It speaks the real protocol, holds what it is sent, and reports as it is set to. */
import { create } from "@bufbuild/protobuf";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type ServiceError,
  type StatusObject,
} from "@grpc/grpc-js";
import {
  type AgentMessage,
  AgentMessageSchema,
  type Binding,
  HelloSchema,
  type OperatorMessage,
  PodPhase,
  type PodState,
  PodStateSchema,
  PolicyKind,
  type State,
} from "../../gen/agent_pb.js";
import { type TelemetryReport, TelemetryReportSchema, type TelemetryRequest } from "../../gen/telemetry_pb.js";
import { HeldState, StateParts } from "../../protocol/held-state.ts";
import {
  DISTRIBUTION_SERVICE,
  MAX_MESSAGE_BYTES,
  PROTOCOL_VERSION,
  TELEMETRY_SERVICE,
} from "../../protocol/service.ts";

export interface TestAgentOptions {
  address: string;
  node: string;
  token: string;
  /** Certificate authority of the operator, PEM, and the name in its certificate; no encryption where absent. */
  tls?: { authority: Buffer; name: string };
  /** Version of the protocol to say; this one's where absent. */
  protocol?: number;
  /** Name to say; the token's node where absent. */
  saidNode?: string;
  /** From before. */
  held?: HeldState;
  searchDomains?: string[];
  /** It sends telemetry; true where absent. */
  telemetry?: boolean;
  /** Answers to revisions; acknowledges all where absent. Null: no answer. */
  answer?: (parts: State[]) => "acknowledge" | { code: string; message: string } | null;
  /** Report each pod with a table as enforced; true where absent. */
  enforces?: boolean;
}

export class TestAgent {
  held: HeldState;
  readonly received: OperatorMessage[] = [];
  readonly states: State[][] = [];
  readonly requests: TelemetryRequest[] = [];
  /** How the stream of telemetry ended; null while it lives. */
  telemetryEnded: StatusObject | ServiceError | null = null;
  /** How the stream ended; null while it lives. */
  ended: StatusObject | ServiceError | null = null;
  readonly #options: TestAgentOptions;
  readonly #client: Client;
  readonly #parts = new StateParts();
  #stream: ClientDuplexStream<AgentMessage, OperatorMessage> | null = null;
  #telemetry: ClientDuplexStream<TelemetryReport, TelemetryRequest> | null = null;

  constructor(options: TestAgentOptions) {
    this.#options = options;
    this.held = options.held ?? HeldState.EMPTY;
    const { tls } = options;
    const channel = tls === undefined ? credentials.createInsecure() : credentials.createSsl(tls.authority);
    this.#client = new Client(options.address, channel, {
      ...(tls === undefined ? {} : { "grpc.ssl_target_name_override": tls.name }),
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  connect(): this {
    const { path, requestSerialize, responseDeserialize } = DISTRIBUTION_SERVICE.connect;
    const metadata = new Metadata();
    if (this.#options.token !== "") metadata.set("authorization", `Bearer ${this.#options.token}`);
    this.ended = null;
    const stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    this.#stream = stream;
    stream.on("data", (message: OperatorMessage) => this.#take(message));
    stream.on("error", (error: ServiceError) => {
      this.ended = error;
    });
    stream.on("status", (status: StatusObject) => {
      this.ended ??= status;
    });
    const hello = create(HelloSchema, {
      protocol: this.#options.protocol ?? PROTOCOL_VERSION,
      version: "test",
      nodeName: this.#options.saidNode ?? this.#options.node,
      instance: `instance of ${this.#options.node}`,
      stateHash: this.held.hash,
      tables: [...this.held.tables.keys()],
      rulesets: [...this.held.rulesets.keys()],
      searchDomains: this.#options.searchDomains ?? [],
    });
    this.send({ case: "hello", value: hello });
    return this;
  }

  send(message: AgentMessage["message"]): void {
    this.#stream?.write(create(AgentMessageSchema, { message }));
  }

  /** Sends telemetry, once the operator has let this agent in. */
  report(message: TelemetryReport["message"]): void {
    this.#telemetry?.write(create(TelemetryReportSchema, { message }));
  }

  /** On the connection as it is, whether or not the operator has let this agent in. */
  openTelemetry(): void {
    const { path, requestSerialize, responseDeserialize } = TELEMETRY_SERVICE.report;
    this.telemetryEnded = null;
    const stream = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#telemetry = stream;
    stream.on("data", (request: TelemetryRequest) => this.requests.push(request));
    stream.on("error", (error: ServiceError) => {
      this.telemetryEnded = error;
    });
    stream.on("status", (status: StatusObject) => {
      this.telemetryEnded ??= status;
    });
  }

  /** The binding of a pod by its name. */
  binding(name: string): Binding | undefined {
    return [...this.held.bindings.values()].find((binding) => binding.name === name);
  }

  disconnect(): void {
    this.#telemetry?.cancel();
    this.#stream?.cancel();
    this.#client.close();
  }

  #take(message: OperatorMessage): void {
    this.received.push(message);
    if (message.message.case === "welcome" && this.#options.telemetry !== false) this.openTelemetry();
    if (message.message.case !== "state") return;
    const parts = this.#parts.add(message.message.value);
    if (parts !== null) this.#revision(parts);
  }

  #revision(parts: State[]): void {
    this.states.push(parts);
    const { answer = () => "acknowledge" as const, enforces = true } = this.#options;
    const revision = parts[0]?.revision ?? 0n;
    const said = answer(parts);
    if (said === null) return;
    if (said !== "acknowledge") {
      this.send({ case: "refusal", value: { $typeName: "portcullis.agent.v1.Refusal", revision, ...said } });
      return;
    }
    this.held = this.held.applied(parts);
    this.send({ case: "acknowledgement", value: { $typeName: "portcullis.agent.v1.Acknowledgement", revision } });
    if (enforces) this.reportAll();
  }

  /** Says of every pod what would be so if all went well. */
  reportAll(more: (binding: Binding) => Partial<PodState> = () => ({})): void {
    const pods = [...this.held.bindings.values()].map((binding) => {
      const phase = binding.policy === PolicyKind.TABLE ? PodPhase.ENFORCED : PodPhase.UNRESTRICTED;
      const { podUid, tableHash } = binding;
      return Object.assign(create(PodStateSchema, { podUid, tableHash, phase }), more(binding));
    });
    const value = { $typeName: "portcullis.agent.v1.PodStates" as const, full: true, pods, removed: [] };
    this.send({ case: "podStates", value });
  }
}
