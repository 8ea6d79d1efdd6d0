/** A message of an agent that cannot be worked on: it is counted and logged, and ends the stream that it came on, no other. */
import { status as GrpcStatus } from "@grpc/grpc-js";
import { BadMessageError } from "../../protocol/field-checks.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { StreamRefusal } from "./authentication.ts";

export interface MessageMeter {
  /** A message was not as it has to be. */
  badMessage(kind: string): void;
}

export interface MessageSource {
  node: string;
  meter: MessageMeter;
  log: Logger;
}

/** What the stream is ended with. @param kind of the message */
export function failedMessage({ node, meter, log }: MessageSource, kind: string, cause: unknown): StreamRefusal {
  if (cause instanceof StreamRefusal) return cause;
  meter.badMessage(kind);
  if (cause instanceof BadMessageError) {
    log.warn({ node, code: cause.code, reason: cause.message }, "an agent has sent a message that cannot be");
    return new StreamRefusal(GrpcStatus.INVALID_ARGUMENT, `${cause.code}: ${cause.message}`, { cause });
  }
  log.error({ node, kind, err: cause }, "a message of an agent cannot be worked on");
  return new StreamRefusal(GrpcStatus.INTERNAL, `the operator failed on ${kind}`, { cause });
}
