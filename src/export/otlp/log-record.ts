/**
 * A record as a log record of OTLP: the body is the record as JSON, attributes have what one filters by, under the names of OpenTelemetry's
 * semantic conventions (1.37) where there are any, and else below `portcullis.`.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import type { MaskedRecord } from "../../flow/field-mask.ts";
import type {
  DnsPart,
  Endpoint,
  LostEvent,
  ProcessReference,
  VerdictEvent,
  WorkloadReference,
} from "../../flow/record.ts";
import { type AnyValue, AnyValueSchema, type KeyValue, KeyValueSchema, LogRecordSchema } from "../../gen/otlp_pb.js";

/** SeverityNumber of OTLP. */
const INFO = 9;
const WARN = 13;
const NS_PER_MS = 1_000_000n;
const TRANSPORTS = ["tcp", "udp"];

type Value = string | number | boolean | readonly string[] | null | undefined;

/** Parts of records that attributes are made of. A mask may have left out any of them. */
interface Parts extends Partial<Omit<VerdictEvent, "type" | "workload" | "process" | "src" | "dst" | "dns">> {
  type?: string;
  workload?: Partial<WorkloadReference>;
  process?: Partial<ProcessReference> | null;
  src?: Partial<Endpoint>;
  dst?: Partial<Endpoint>;
  dns?: Partial<DnsPart>;
  where?: LostEvent["where"];
}

/** @param line the record as JSON @param seen when it was received, in milliseconds since 1970 */
export function logRecord(record: MaskedRecord, line: string, seen: number): Uint8Array {
  const parts = record as Parts;
  const isBad = parts.type === "lost" || (parts.verdict !== undefined && parts.verdict !== "allowed");
  return toBinary(
    LogRecordSchema,
    create(LogRecordSchema, {
      timeUnixNano: parts.time === undefined ? 0n : BigInt(Date.parse(parts.time)) * NS_PER_MS,
      observedTimeUnixNano: BigInt(seen) * NS_PER_MS,
      severityNumber: isBad ? WARN : INFO,
      severityText: isBad ? "WARN" : "INFO",
      body: anyValue(line),
      attributes: keyValues(attributesOf(parts)),
      eventName: parts.type === undefined ? "" : `portcullis.${parts.type}`,
    }),
  );
}

export function keyValues(attributes: Readonly<Record<string, Value>>): KeyValue[] {
  return Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined || value === null ? [] : [create(KeyValueSchema, { key, value: anyValue(value) })],
  );
}

function anyValue(value: NonNullable<Value>): AnyValue {
  if (typeof value === "string") return create(AnyValueSchema, { value: { case: "stringValue", value } });
  if (typeof value === "boolean") return create(AnyValueSchema, { value: { case: "boolValue", value } });
  if (typeof value === "number") return create(AnyValueSchema, { value: { case: "intValue", value: BigInt(value) } });
  return create(AnyValueSchema, { value: { case: "arrayValue", value: { values: value.map(anyValue) } } });
}

function attributesOf({ workload, process, src, dst, dns, ...record }: Parts): Record<string, Value> {
  const { proto, direction } = record;
  return {
    "k8s.namespace.name": workload?.namespace,
    "k8s.pod.name": workload?.name,
    "k8s.pod.uid": workload?.uid,
    "k8s.container.name": process?.container,
    "process.executable.path": process?.path,
    "process.pid": process?.pid,
    "process.parent_pid": process?.parent?.pid,
    "network.transport": proto !== undefined && TRANSPORTS.includes(proto) ? proto : undefined,
    "network.protocol.name": record.application,
    "network.io.direction": direction === undefined ? undefined : direction === "egress" ? "transmit" : "receive",
    "source.address": src?.ip,
    "source.port": src?.port,
    "destination.address": dst?.ip,
    "destination.port": dst?.port,
    "dns.question.name": dns?.name,
    "portcullis.type": record.type,
    "portcullis.verdict": record.verdict,
    "portcullis.reason": record.reason,
    "portcullis.profiles": record.profiles,
    "portcullis.protocol": proto,
    "portcullis.script": process?.script,
    "portcullis.source.name": src?.name,
    "portcullis.destination.name": dst?.name,
    "portcullis.dns.type": dns?.type,
    "portcullis.dns.rcode": dns?.rcode,
    "portcullis.count": record.count,
    "portcullis.where": record.where,
  };
}
