/** OTLP over gRPC: a call for each batch. */
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { RefusedError } from "../destination.ts";
import { ANSWER_MS, type OtlpTransport } from "./transport.ts";

const METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/** Codes after which a call may be made again (OTLP specification, "OTLP/gRPC Response"). */
const RETRYABLE: readonly status[] = [
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
];
/** Only with this detail does a receiver that is short of something mean that it will have it again. */
const RETRY_INFO = "google.rpc.RetryInfo";

export class OtlpGrpc implements OtlpTransport {
  readonly #endpoint: string;
  readonly #client: Client;

  /** @param ca PEM; null: the system's authorities */
  constructor(url: URL, ca: string | null) {
    const isSecure = url.protocol === "https:";
    this.#endpoint = url.href;
    this.#client = new Client(
      `${url.hostname}:${url.port || (isSecure ? 443 : 80)}`,
      isSecure ? credentials.createSsl(ca === null ? null : Buffer.from(ca)) : credentials.createInsecure(),
      // A receiver that comes back is found soon, and what is not taken is tried again by whoever has it.
      { "grpc.enable_retries": 0, "grpc.max_reconnect_backoff_ms": 5_000, "grpc.initial_reconnect_backoff_ms": 500 },
    );
  }

  send(request: Uint8Array, headers: Readonly<Record<string, string>>): Promise<Uint8Array> {
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return new Promise((settle, fail) => {
      this.#client.makeUnaryRequest(
        METHOD,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => bytes,
        request,
        metadata,
        { deadline: Date.now() + ANSWER_MS },
        (error, response) => {
          if (error === null) settle(response ?? new Uint8Array());
          else fail(this.#failure(error));
        },
      );
    });
  }

  close(): void {
    this.#client.close();
  }

  #failure(error: ServiceError): Error {
    const problem = `${this.#endpoint} answers with ${status[error.code]}: ${error.details}`;
    return isRetryable(error) ? new Error(problem, { cause: error }) : new RefusedError(problem, { cause: error });
  }
}

function isRetryable({ code, metadata }: ServiceError): boolean {
  if (RETRYABLE.includes(code)) return true;
  const details = metadata?.get("grpc-status-details-bin") ?? [];
  return code === status.RESOURCE_EXHAUSTED && details.some((detail) => detail.includes(RETRY_INFO));
}
