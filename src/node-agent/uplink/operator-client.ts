/**
 * The agent's side of the protocol (proto/portcullis/agent/v1/agent.proto): connects, says what it holds, takes revisions, and reports.
 * It knows nothing of the kernel; what a revision means is its owner's affair.
 */
import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { causeCode, causeText } from "../../api/errors.ts";
import {
  AcknowledgementSchema,
  type AgentMessage,
  HelloSchema,
  type OperatorMessage,
  RefusalSchema,
  type State,
} from "../../gen/agent_pb.js";
import { type HeldState, StateParts } from "../../protocol/held-state.ts";
import { checkOperatorMessage } from "../../protocol/message-checks.ts";
import { DISTRIBUTION_SERVICE, PROTOCOL_VERSION } from "../../protocol/service.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { message } from "./message.ts";
import { type OperatorAddress, OperatorConnection } from "./operator-connection.ts";
import { OperatorStream, type StreamEnd } from "./operator-stream.ts";
import { DEFAULT_RECONNECT, Reconnect, type ReconnectOptions } from "./reconnect.ts";
import type { Reporter } from "./reports/reporter.ts";
import type { TelemetryClient } from "./telemetry-client.ts";

export type ConnectionState = "connecting" | "connected" | "waiting" | "closed";

export interface OperatorClientOptions {
  address: OperatorAddress;
  nodeName: string;
  version: string;
  searchDomains: readonly string[];
  reporter: Reporter;
  telemetry: TelemetryClient;
  /** What is held now. */
  held(): HeldState;
  /** A revision that can be applied: keep it, and put it in force. Throws where it cannot be kept. */
  onRevision(state: HeldState): void;
  onConnection?(state: ConnectionState, reason: string): void;
  onRefusal?(code: string): void;
  /** A message was not as it has to be, and has ended the stream. */
  onBadMessage?(kind: string): void;
  reconnect?: ReconnectOptions;
  log: Logger;
}

/** The operator has to answer Hello within this, milliseconds. */
const WELCOME_TIMEOUT_MS = 15_000;

/** Reports are made no more often than this, whatever the operator asks for. */
const MIN_INTERVAL_MS = 100;

export class OperatorClient {
  readonly #options: OperatorClientOptions;
  readonly #instance = randomUUID();
  readonly #reconnect: Reconnect;
  #connection: OperatorConnection | null = null;
  #stream: OperatorStream<AgentMessage, OperatorMessage> | null = null;
  #parts = new StateParts();
  #timer: NodeJS.Timeout | null = null;
  #welcome: NodeJS.Timeout | null = null;
  #state: ConnectionState = "waiting";
  /** Last reported reason, so that a long absence is one line and not a thousand. */
  #reported = "";

  constructor(options: OperatorClientOptions) {
    this.#options = options;
    this.#reconnect = new Reconnect(options.reconnect ?? DEFAULT_RECONNECT);
    this.#connect(options.address.target);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Ends the connection for good. */
  close(): void {
    this.#setState("closed", "the agent ends");
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#stream?.end("the agent ends");
    this.#stream = null;
  }

  #connect(target: string): void {
    this.#timer = null;
    if (this.#state === "closed") return;
    this.#setState("connecting", target);
    this.#parts = new StateParts();
    try {
      const connection = new OperatorConnection({ ...this.#options.address, target });
      this.#connection = connection;
      const stream = new OperatorStream<AgentMessage, OperatorMessage>(connection, DISTRIBUTION_SERVICE.connect, {
        onMessage: (message) => this.#take(message),
        onEnd: (end) => this.#ended(end, target),
        onDrain: () => this.#options.reporter.flush(),
      });
      this.#stream = stream;
      this.#sendHello(stream);
    } catch (cause) {
      this.#ended({ reason: causeText(cause), leader: null }, target);
    }
  }

  #sendHello(stream: OperatorStream<AgentMessage, OperatorMessage>): void {
    const { nodeName, version, searchDomains, held } = this.#options;
    const state = held();
    const hello = create(HelloSchema, {
      protocol: PROTOCOL_VERSION,
      version,
      nodeName,
      instance: this.#instance,
      stateHash: state.hash,
      tables: [...state.tables.keys()],
      rulesets: [...state.rulesets.keys()],
      searchDomains: [...searchDomains],
    });
    stream.write(message({ case: "hello", value: hello }));
    this.#welcome = setTimeout(() => stream.end("the operator has not answered in time"), WELCOME_TIMEOUT_MS);
  }

  /** What cannot be worked on ends this stream; what is in force stays so, and the next stream begins with a full state. */
  #take(message: OperatorMessage): void {
    try {
      checkOperatorMessage(message);
      this.#handle(message);
    } catch (cause) {
      const { log, onBadMessage } = this.#options;
      log.error({ err: cause, kind: message.message.case }, "a message of the operator cannot be worked on");
      onBadMessage?.(message.message.case ?? "unknown");
      this.#stream?.end(`a message of the operator cannot be worked on: ${causeText(cause)}`);
    }
  }

  #handle({ message: content }: OperatorMessage): void {
    if (content.case === "welcome") {
      if (this.#welcome !== null) clearTimeout(this.#welcome);
      this.#reconnect.succeeded(content.value.reconnectLongestMilliseconds);
      this.#reported = "";
      this.#setState("connected", "");
      this.#options.log.info({ operator: content.value.version }, "connected to the operator");
      const { reportIntervalMilliseconds, violationsMax } = content.value;
      const reportInterval = Math.max(reportIntervalMilliseconds, MIN_INTERVAL_MS);
      if (this.#stream === null || this.#connection === null) return;
      this.#options.reporter.start(this.#stream, reportInterval);
      this.#options.telemetry.start(this.#connection, { reportInterval, violationsMax });
    } else if (content.case === "state") {
      this.#takeState(content.value);
    } else if (content.case === "countersAcknowledgement") {
      this.#options.reporter.acknowledged(content.value.sequence);
    }
  }

  #takeState(part: State): void {
    const parts = this.#parts.add(part);
    if (parts === null) return;
    const { revision } = part;
    try {
      this.#options.onRevision(this.#options.held().applied(parts));
      this.#stream?.write(message({ case: "acknowledgement", value: create(AcknowledgementSchema, { revision }) }));
    } catch (cause) {
      const code = causeCode(cause) ?? "PC_UNEXPECTED";
      this.#options.log.error({ err: cause, revision: revision.toString() }, "a revision of the operator is refused");
      this.#options.onRefusal?.(code);
      const refusal = create(RefusalSchema, { revision, code, message: causeText(cause) });
      this.#stream?.write(message({ case: "refusal", value: refusal }));
    }
  }

  #ended({ reason, leader }: StreamEnd, target: string): void {
    if (this.#welcome !== null) clearTimeout(this.#welcome);
    this.#stream = null;
    this.#options.reporter.stop();
    this.#options.telemetry.stop();
    this.#connection?.close();
    this.#connection = null;
    if (this.#state === "closed") return;
    if (leader !== null) this.#reconnect.answered();
    const redirected = leader !== null && leader !== "" && leader !== target && this.#reconnect.mayRedirect();
    const delay = redirected ? 0 : this.#reconnect.nextDelay();
    this.#setState("waiting", reason);
    if (this.#reported !== reason && !redirected) {
      this.#reported = reason;
      this.#options.log.warn(
        { operator: target, reason },
        "no connection to the operator; what is in force stays in force",
      );
    }
    const next = redirected ? leader : this.#options.address.target;
    this.#timer = setTimeout(() => this.#connect(next), delay);
  }

  #setState(state: ConnectionState, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = state;
    this.#options.onConnection?.(state, reason);
  }
}
