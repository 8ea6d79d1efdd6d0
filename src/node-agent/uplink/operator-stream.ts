/** One stream of messages to an operator and back. It ends once; what comes after is a new stream. */
import { type ClientDuplexStream, type Metadata, type MethodDefinition, status } from "@grpc/grpc-js";
import { LEADER_METADATA } from "../../protocol/service.ts";
import type { OperatorConnection } from "./operator-connection.ts";

export interface StreamEnd {
  /** In words, for logs and metrics. */
  reason: string;
  /** The operator was the wrong one: `host:port` of the leader, or empty where it knows of none. Null: it said no such thing. */
  leader: string | null;
}

export interface StreamHandlers<Received> {
  onMessage(message: Received): void;
  /** Once, after the last message. */
  onEnd(end: StreamEnd): void;
  /** What was written has gone; there is room again. */
  onDrain(): void;
}

export class OperatorStream<Sent, Received> {
  readonly #connection: OperatorConnection;
  readonly #stream: ClientDuplexStream<Sent, Received>;
  readonly #handlers: StreamHandlers<Received>;
  #ended = false;
  #full = false;

  constructor(
    connection: OperatorConnection,
    method: MethodDefinition<Sent, Received>,
    handlers: StreamHandlers<Received>,
  ) {
    this.#connection = connection;
    this.#handlers = handlers;
    this.#stream = connection.open(method);
    this.#listen();
  }

  /** There is more written than the connection takes: wait for `onDrain` before reports are made. */
  get full(): boolean {
    return this.#full;
  }

  /** What is written to a stream that has ended goes nowhere. */
  write(message: Sent): void {
    if (this.#ended) return;
    if (!this.#stream.write(message)) this.#full = true;
  }

  /** Ends the stream; `onEnd` is notified. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#finish({ reason, leader: null });
    this.#stream.end();
    this.#stream.cancel();
  }

  #listen(): void {
    this.#stream.on("data", (message: Received) => {
      if (!this.#ended) this.#handlers.onMessage(message);
    });
    this.#stream.on("drain", () => {
      this.#full = false;
      if (!this.#ended) this.#handlers.onDrain();
    });
    this.#stream.on("error", (error: Error & { code?: status; details?: string; metadata?: Metadata }) => {
      const leader = error.metadata?.get(LEADER_METADATA)[0];
      const code = error.code === undefined ? "" : `${status[error.code]}: `;
      const trouble = this.#connection.certificateTrouble(error.message);
      this.#finish({
        reason: trouble ?? `${code}${error.details ?? error.message}`,
        leader: leader?.toString() ?? null,
      });
    });
    this.#stream.on("end", () => this.#finish({ reason: "the operator has ended the stream", leader: null }));
  }

  #finish(end: StreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers.onEnd(end);
  }
}
