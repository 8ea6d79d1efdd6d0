/** One agent's stream of telemetry (telemetry.proto). It ends without its policy's stream, never the other way around. */
import { create } from "@bufbuild/protobuf";
import type { ServerDuplexStream } from "@grpc/grpc-js";
import {
  type Observations,
  type Subscriptions,
  type TelemetryReport,
  type TelemetryRequest,
  TelemetryRequestSchema,
  type Violations,
} from "../../gen/telemetry_pb.js";
import { checkTelemetryReport } from "../../protocol/telemetry-checks.ts";
import type { TokenBucket } from "../../timing/token-bucket.ts";
import type { StreamRefusal } from "./authentication.ts";
import { failedMessage, type MessageSource } from "./failed-message.ts";
import { PacedMessages } from "./paced-messages.ts";

export type TelemetryStream = ServerDuplexStream<TelemetryReport, TelemetryRequest>;

export interface TelemetryOptions extends MessageSource {
  /** Milliseconds of this thread that are left for the telemetry of all agents. */
  milliseconds: TokenBucket;
  onViolations: (violations: Violations) => void;
  onObservations: (observations: Observations) => void;
  onEnd: () => void;
}

export class TelemetrySession {
  readonly #stream: TelemetryStream;
  readonly #options: TelemetryOptions;
  readonly #messages: PacedMessages<TelemetryReport>;
  #ended = false;

  constructor(stream: TelemetryStream, options: TelemetryOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#messages = new PacedMessages(stream, (report) => this.#take(report), options.milliseconds);
    stream.on("error", () => this.#end());
    stream.on("cancelled", () => this.#end());
    stream.on("end", () => {
      stream.end();
      this.#end();
    });
  }

  /** What is observed on this node. */
  subscribe(subscriptions: Subscriptions): void {
    if (this.#ended) return;
    const message = { case: "subscriptions" as const, value: subscriptions };
    this.#stream.write(create(TelemetryRequestSchema, { message }));
  }

  /** Ends the stream with an error that the agent sees. */
  refuse(refusal: StreamRefusal): void {
    if (this.#ended) return;
    this.#stream.emit("error", { code: refusal.status, details: refusal.message });
    this.#end();
  }

  #take(report: TelemetryReport): void {
    const { message } = report;
    try {
      checkTelemetryReport(report);
      if (message.case === "violations") this.#options.onViolations(message.value);
      else if (message.case === "observations") this.#options.onObservations(message.value);
    } catch (cause) {
      this.refuse(failedMessage(this.#options, message.case ?? "unknown", cause));
    }
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#messages.end();
    this.#options.onEnd();
  }
}
