/** One stream to an operator: TLS, the token, and messages both ways. It ends once; a new connection is a new stream. */
import { readFileSync } from "node:fs";
import { type ClientDuplexStream, credentials, Metadata, makeGenericClientConstructor, status } from "@grpc/grpc-js";
import { causeText } from "../../api/errors.ts";
import type { AgentMessage, OperatorMessage } from "../../gen/agent_pb.js";
import {
  DISTRIBUTION_SERVICE,
  KEEPALIVE_MS,
  KEEPALIVE_TIMEOUT_MS,
  LEADER_METADATA,
  MAX_MESSAGE_BYTES,
} from "../../protocol/service.ts";
import { OperatorConnectionError } from "./errors.ts";

export interface OperatorAddress {
  /** `host:port`. */
  target: string;
  /** The name in the operators' certificate: that of the address which was configured, wherever the leader is. */
  serverName: string;
  /** File with the certificates to trust, PEM. Read anew for each connection, as it may be replaced. */
  caFile: string;
  /** File with the service-account token, which the kubelet replaces before it expires. */
  tokenFile: string;
}

export interface StreamEnd {
  /** In words, for logs and metrics. */
  reason: string;
  /** The operator was the wrong one: `host:port` of the leader, or empty where it knows of none. Null: it said no such thing. */
  leader: string | null;
}

export interface StreamHandlers {
  onMessage(message: OperatorMessage): void;
  /** Once, after the last message. */
  onEnd(end: StreamEnd): void;
  /** What was written has gone; there is room again. */
  onDrain(): void;
}

type DuplexStream = ClientDuplexStream<AgentMessage, OperatorMessage>;

export class OperatorStream {
  readonly #address: OperatorAddress;
  readonly #stream: DuplexStream;
  readonly #close: () => void;
  readonly #handlers: StreamHandlers;
  #ended = false;
  #full = false;

  /** @throws OperatorConnectionError where the token or the certificates cannot be read */
  constructor(address: OperatorAddress, handlers: StreamHandlers) {
    this.#address = address;
    this.#handlers = handlers;
    const Client = makeGenericClientConstructor(DISTRIBUTION_SERVICE, "Distribution");
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${readText(address.tokenFile, "token").trim()}`);
    const client = new Client(address.target, credentials.createSsl(Buffer.from(readText(address.caFile, "CA"))), {
      "grpc.ssl_target_name_override": address.serverName,
      "grpc.default_authority": address.serverName,
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
      "grpc.enable_retries": 0,
      // Proxies of the environment are for the world outside; the operator is in the cluster.
      "grpc.enable_http_proxy": 0,
      // Channels of earlier connections are not shared: this one's certificates may be other ones.
      "grpc.use_local_subchannel_pool": 1,
    });
    this.#close = () => client.close();
    const connect = (client as unknown as Record<string, (metadata: Metadata) => DuplexStream>).connect;
    this.#stream = (connect as (metadata: Metadata) => DuplexStream).call(client, metadata);
    this.#listen();
  }

  /** There is more written than the connection takes: wait for `onDrain` before reports are made. */
  get full(): boolean {
    return this.#full;
  }

  /** What is written to a stream that has ended goes nowhere. */
  write(message: AgentMessage): void {
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
    this.#stream.on("data", (message: OperatorMessage) => {
      if (!this.#ended) this.#handlers.onMessage(message);
    });
    this.#stream.on("drain", () => {
      this.#full = false;
      if (!this.#ended) this.#handlers.onDrain();
    });
    this.#stream.on("error", (error: Error & { code?: status; details?: string; metadata?: Metadata }) => {
      const leader = error.metadata?.get(LEADER_METADATA)[0];
      const code = error.code === undefined ? "" : `${status[error.code]}: `;
      this.#finish({
        reason: certificateTrouble(error.message, this.#address) ?? `${code}${error.details ?? error.message}`,
        leader: leader?.toString() ?? null,
      });
    });
    this.#stream.on("end", () => this.#finish({ reason: "the operator has ended the stream", leader: null }));
  }

  #finish(end: StreamEnd): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#close();
    this.#handlers.onEnd(end);
  }
}

/** What the words of OpenSSL mean here, and what to do; null: they are about something else. */
function certificateTrouble(words: string, { serverName, caFile }: OperatorAddress): string | null {
  if (/certificate has expired/i.test(words))
    return "the operator's certificate has expired, unless this node's clock is wrong; renew it (helm upgrade does, with tls.mode generated)";
  if (/certificate is not yet valid/i.test(words))
    return "the operator's certificate is not valid yet; is this node's clock right?";
  if (/self.signed certificate|unable to (get|verify)/i.test(words))
    return `the operator's certificate is not by an authority in ${caFile}; it is read again for each try`;
  if (/altnames/i.test(words)) return `the operator's certificate is not for the name ${serverName}`;
  return null;
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new OperatorConnectionError(`cannot read the ${what} for the operator: ${causeText(cause)}`, { cause });
  }
}
