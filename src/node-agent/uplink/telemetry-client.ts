/**
 * The agent's side of telemetry.proto: samples of violations, and records of pods that somebody observes, on a stream beside that
 * of policy. However much there is of it, and whatever becomes of its stream, revisions and counters do not wait for it.
 */
import { create } from "@bufbuild/protobuf";
import { causeText } from "../../api/errors.ts";
import {
  type TelemetryReport,
  TelemetryReportSchema,
  type TelemetryRequest,
  ViolationsSchema,
} from "../../gen/telemetry_pb.js";
import { TELEMETRY_SERVICE } from "../../protocol/service.ts";
import { checkTelemetryRequest } from "../../protocol/telemetry-checks.ts";
import type { Logger } from "../../telemetry/logger.ts";
import type { OperatorConnection } from "./operator-connection.ts";
import { OperatorStream } from "./operator-stream.ts";
import type { RecordSubscriptions } from "./record-subscriptions.ts";
import type { ViolationQueue } from "./reports/violation-queue.ts";

/** What the operator asks of this agent: milliseconds between reports of violations, and how many each may have. */
export interface Pace {
  reportInterval: number;
  violationsMax: number;
}

export interface TelemetryClientOptions {
  violations: ViolationQueue;
  subscriptions: RecordSubscriptions;
  /** A message was not as it has to be, and has ended the stream. */
  onBadMessage?(kind: string): void;
  /** Milliseconds after which a stream that has ended, while the connection lives, is opened again. */
  reopenAfter?: number;
  log: Logger;
}

const REOPEN_MS = 10_000;

export class TelemetryClient {
  readonly #options: TelemetryClientOptions;
  #stream: OperatorStream<TelemetryReport, TelemetryRequest> | null = null;
  #interval: NodeJS.Timeout | null = null;
  #reopen: NodeJS.Timeout | null = null;
  /** Set: the connection has gone, or is about to. */
  #stopped = true;

  constructor(options: TelemetryClientOptions) {
    this.#options = options;
  }

  /** There is more than the operator takes. */
  get isWaiting(): boolean {
    return this.#stream?.full ?? false;
  }

  /** The operator has answered on this connection, and named its pace. */
  start(connection: OperatorConnection, pace: Pace): void {
    this.stop();
    this.#stopped = false;
    this.#open(connection, pace);
    this.#interval = setInterval(() => this.#sendViolations(pace.violationsMax), pace.reportInterval);
  }

  stop(): void {
    this.#stopped = true;
    if (this.#interval !== null) clearInterval(this.#interval);
    if (this.#reopen !== null) clearTimeout(this.#reopen);
    this.#options.subscriptions.stop();
    this.#stream?.end("the connection has gone");
    this.#stream = null;
  }

  #open(connection: OperatorConnection, pace: Pace): void {
    const { subscriptions, log, reopenAfter = REOPEN_MS } = this.#options;
    const stream = new OperatorStream<TelemetryReport, TelemetryRequest>(connection, TELEMETRY_SERVICE.report, {
      onMessage: (request) => this.#take(request),
      onDrain: () => subscriptions.flush(),
      onEnd: ({ reason }) => {
        if (this.#stopped) return;
        log.info({ reason }, "the stream of telemetry has ended; policy is not concerned");
        subscriptions.stop();
        this.#stream = null;
        this.#reopen = setTimeout(() => this.#open(connection, pace), reopenAfter);
      },
    });
    this.#stream = stream;
    subscriptions.start(stream);
  }

  /** What cannot be worked on ends this stream, and no other. */
  #take(request: TelemetryRequest): void {
    const { message } = request;
    try {
      checkTelemetryRequest(request);
      if (message.case === "subscriptions") this.#options.subscriptions.take(message.value);
    } catch (cause) {
      const kind = message.case ?? "unknown";
      this.#options.log.error({ err: cause, kind }, "a request of the operator for telemetry cannot be worked on");
      this.#options.onBadMessage?.(kind);
      this.#stream?.end(`a request of the operator cannot be worked on: ${causeText(cause)}`);
    }
  }

  #sendViolations(max: number): void {
    if (this.#stream === null || this.#stream.full) return;
    const { violations, lost } = this.#options.violations.take(max);
    if (violations.length === 0 && lost === 0) return;
    const value = create(ViolationsSchema, { violations, lost: BigInt(lost) });
    this.#stream.write(create(TelemetryReportSchema, { message: { case: "violations", value } }));
  }
}
