/** A receiver of OTLP, over gRPC or HTTP, for records as logs. */
import { readFileSync } from "node:fs";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { UnreadableError } from "../../api/errors.ts";
import type { MaskedRecord } from "../../flow/field-mask.ts";
import { LogsRequestSchema, LogsResponseSchema } from "../../gen/otlp_pb.js";
import type { Destination } from "../destination.ts";
import type { OtlpSettings } from "../settings.ts";
import { keyValues, logRecord } from "./log-record.ts";
import type { OtlpTransport } from "./transport.ts";

export class OtlpLogs implements Destination {
  readonly #settings: OtlpSettings;
  readonly #node: string;
  #transport: OtlpTransport | null = null;

  constructor(settings: OtlpSettings, node: string) {
    this.#settings = settings;
    this.#node = node;
  }

  encode(record: MaskedRecord, line: string): Uint8Array {
    return logRecord(record, line, Date.now());
  }

  async send(items: readonly Uint8Array[]): Promise<number> {
    this.#transport ??= await transportOf(this.#settings);
    const response = await this.#transport.send(this.#request(items), this.#headers());
    const { partialSuccess } = fromBinary(LogsResponseSchema, response);
    return Math.min(Number(partialSuccess?.rejectedLogRecords ?? 0n), items.length);
  }

  async close(): Promise<void> {
    this.#transport?.close();
    this.#transport = null;
  }

  #request(items: readonly Uint8Array[]): Uint8Array {
    const attributes = keyValues({ "service.name": "portcullis", "k8s.node.name": this.#node });
    return toBinary(
      LogsRequestSchema,
      create(LogsRequestSchema, {
        resourceLogs: [
          { resource: { attributes }, scopeLogs: [{ scope: { name: "portcullis" }, logRecords: [...items] }] },
        ],
      }),
    );
  }

  /** The token is read anew each time: whoever gives it replaces it before it expires. */
  #headers(): Record<string, string> {
    const { headers, tokenFile } = this.#settings;
    return tokenFile === null ? headers : { ...headers, authorization: `Bearer ${readText(tokenFile).trim()}` };
  }
}

/** A machine that speaks to none has no use for gRPC's megabytes. */
async function transportOf({ endpoint, protocol, caFile }: OtlpSettings): Promise<OtlpTransport> {
  const url = new URL(endpoint);
  const ca = caFile === null ? null : readText(caFile);
  if (protocol === "http") {
    const { OtlpHttp } = await import("./otlp-http.ts");
    return new OtlpHttp(url, ca);
  }
  const { OtlpGrpc } = await import("./otlp-grpc.ts");
  return new OtlpGrpc(url, ca);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UnreadableError(path, cause);
  }
}
