/** How requests reach a receiver of OTLP. */
export interface OtlpTransport {
  /** The response. @throws RefusedError for a request that is not to be sent again, anything else for one that is */
  send(request: Uint8Array, headers: Readonly<Record<string, string>>): Promise<Uint8Array>;
  close(): void;
}

/** A receiver has so many milliseconds for an answer. */
export const ANSWER_MS = 10_000;
