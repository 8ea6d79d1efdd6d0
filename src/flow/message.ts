/** Records as protobuf messages (proto/portcullis/flow/v1), and back: what goes over a wire or onto a disk. */
import { create } from "@bufbuild/protobuf";
import type { Direction, DnsFault, Reason, Verdict } from "../api/reasons.ts";
import {
  type Endpoint as EndpointMessage,
  EndpointSchema,
  type Flow,
  FlowSchema,
  type Judgement,
  JudgementSchema,
  type Loss,
  LossSchema,
  type Malformed,
  MalformedSchema,
  ParentSchema,
  type Passed,
  PassedSchema,
  type Process,
  ProcessSchema,
  type Question,
  QuestionSchema,
  type Record as RecordMessage,
  RecordSchema,
  type Response,
  ResponseSchema,
  type Tcp,
  TcpSchema,
  type Workload,
  WorkloadSchema,
} from "../gen/flow_pb.js";
import {
  type DnsMalformedPart,
  type DnsPart,
  type Endpoint,
  FLOW_ENDS,
  type FlowEvent,
  type LossPlace,
  type LostEvent,
  type ProcessReference,
  RECORD_KINDS,
  type ResponseFigures,
  TCP_FAILURES,
  TCP_STATES,
  type TcpFigures,
  type VerdictEvent,
  type Ways,
  type WorkloadReference,
} from "./record.ts";

const NS_PER_MS = 1_000_000n;

/** Records that are sent to observers of a pod. */
export type WatchedRecord = VerdictEvent | FlowEvent | LostEvent;

/** The message of a record. */
export function recordMessage(record: WatchedRecord): RecordMessage {
  const time = nanoseconds(record.time);
  if (record.type === "lost") {
    const value = create(LossSchema, { where: record.where, kind: record.kind ?? "", count: BigInt(record.count) });
    return create(RecordSchema, { time, body: { case: "loss", value } });
  }
  if (record.type === "flow") return create(RecordSchema, { time, body: { case: "flow", value: flowMessage(record) } });
  return create(RecordSchema, { time, body: { case: "judgement", value: judgementMessage(record) } });
}

/**
 * The record of a message whose words have been checked (src/protocol/record-checks.ts); null for one without a body, which a
 * sender of another version may send.
 */
export function recordOf({ time, body }: RecordMessage): WatchedRecord | null {
  if (body.case === "judgement") return verdictOf(timeText(time), body.value);
  if (body.case === "flow") return flowOf(timeText(time), body.value);
  if (body.case !== "loss") return null;
  return lostOf(timeText(time), body.value);
}

function judgementMessage(record: VerdictEvent): Judgement {
  const { type, verdict, reason, direction, workload, profiles, process, proto, src, dst, dns, malformed } = record;
  return create(JudgementSchema, {
    type,
    verdict,
    reason,
    direction,
    workload: create(WorkloadSchema, workload),
    profiles,
    ...(process === null ? {} : { process: processMessage(process) }),
    protocol: proto,
    source: endpointMessage(src),
    destination: endpointMessage(dst),
    application: record.application ?? "",
    ...(dns === undefined ? {} : { question: create(QuestionSchema, dns) }),
    ...(malformed === undefined ? {} : { malformed: create(MalformedSchema, malformed) }),
    count: BigInt(record.count),
  });
}

function flowMessage(record: FlowEvent): Flow {
  const { id, verdict, reason, direction, workload, profiles, process, proto, src, dst } = record;
  return create(FlowSchema, {
    ...{ id, verdict, reason, direction, profiles, end: record.end ?? "", application: record.application ?? "" },
    start: nanoseconds(record.start),
    durationNanoseconds: BigInt(record.durationNs),
    workload: create(WorkloadSchema, workload),
    ...(process === null ? {} : { process: processMessage(process) }),
    protocol: proto,
    source: endpointMessage(src),
    destination: endpointMessage(dst),
    sent: passedMessage(record, "sent"),
    received: passedMessage(record, "received"),
    ...(record.tcp === undefined ? {} : { tcp: tcpMessage(record.tcp) }),
    ...(record.response === undefined ? {} : { response: responseMessage(record.response) }),
  });
}

function passedMessage({ packets, bytes, firstPayloadNs, tcpFlags }: FlowEvent, way: keyof Ways<number>): Passed {
  const first = firstPayloadNs?.[way];
  return create(PassedSchema, {
    packets: BigInt(packets[way]),
    bytes: BigInt(bytes[way]),
    ...(first === undefined ? {} : { firstPayloadNanoseconds: BigInt(first) }),
    tcpFlags: tcpFlags?.[way] ?? "",
  });
}

function tcpMessage({ handshakeNs, state, rtt, retransmits, lost, outOfOrder, resetBy, failure }: TcpFigures): Tcp {
  return create(TcpSchema, {
    ...(handshakeNs === undefined ? {} : { handshakeNanoseconds: BigInt(handshakeNs) }),
    ...(rtt?.minNs === undefined ? {} : { rttLeastNanoseconds: BigInt(rtt.minNs) }),
    ...(rtt === undefined ? {} : { rttSmoothedNanoseconds: BigInt(rtt.smoothedNs) }),
    ...{ state: state ?? "", resetBy: resetBy ?? "", failure: failure ?? "" },
    ...{ retransmits: retransmits ?? 0, lost: lost ?? 0, outOfOrder: outOfOrder ?? 0 },
  });
}

function responseMessage({ count, firstByteNs: { sum, max }, histogram }: ResponseFigures): Response {
  return create(ResponseSchema, { count, sumNanoseconds: BigInt(sum), longestNanoseconds: BigInt(max), histogram });
}

function processMessage({ startTime, parent, ...process }: ProcessReference): Process {
  return create(ProcessSchema, {
    ...process,
    startTime: startTime === undefined ? 0n : nanoseconds(startTime),
    ...(parent === undefined ? {} : { parent: create(ParentSchema, parent) }),
  });
}

function endpointMessage({ ip, port, name }: Endpoint): EndpointMessage {
  return create(EndpointSchema, { address: ip, name: name ?? "", ...(port === undefined ? {} : { port }) });
}

function verdictOf(time: string, message: Judgement): VerdictEvent {
  const { workload, source, destination, process, application, question, malformed } = message;
  return {
    time,
    type: message.type as VerdictEvent["type"],
    verdict: message.verdict as Verdict,
    reason: message.reason as Reason,
    direction: message.direction as Direction,
    workload: workloadOf(workload),
    profiles: message.profiles,
    process: process === undefined ? null : processOf(process),
    proto: message.protocol,
    src: endpointOf(source),
    dst: endpointOf(destination),
    ...(application === "" ? {} : { application }),
    ...(question === undefined ? {} : { dns: dnsOf(question) }),
    ...(malformed === undefined ? {} : { malformed: malformedOf(malformed) }),
    count: Number(message.count),
  };
}

function flowOf(time: string, message: Flow): FlowEvent {
  const { id, end, process, application, sent, received } = message;
  const ways = <T>(read: (passed: Passed | undefined) => T): Ways<T> => ({
    sent: read(sent),
    received: read(received),
  });
  const [first, back] = [sent?.firstPayloadNanoseconds, received?.firstPayloadNanoseconds];
  const known = FLOW_ENDS.find((word) => word === end);
  return {
    time,
    type: "flow",
    state: end === "" ? "update" : "end",
    ...(known === undefined ? {} : { end: known }),
    id,
    start: timeText(message.start),
    durationNs: Number(message.durationNanoseconds),
    verdict: message.verdict as Verdict,
    reason: message.reason as Reason,
    direction: message.direction as Direction,
    workload: workloadOf(message.workload),
    profiles: message.profiles,
    process: process === undefined ? null : processOf(process),
    proto: message.protocol,
    src: endpointOf(message.source),
    dst: endpointOf(message.destination),
    ...(application === "" ? {} : { application }),
    packets: ways((passed) => Number(passed?.packets ?? 0n)),
    bytes: ways((passed) => Number(passed?.bytes ?? 0n)),
    ...(first === undefined && back === undefined ? {} : { firstPayloadNs: firstPayloadOf(first, back) }),
    ...(message.protocol === "tcp" ? { tcpFlags: ways((passed) => passed?.tcpFlags ?? "") } : {}),
    ...(message.tcp === undefined ? {} : { tcp: tcpOf(message.tcp) }),
    ...(message.response === undefined ? {} : { response: responseOf(message.response) }),
  };
}

function responseOf({ count, sumNanoseconds, longestNanoseconds, histogram }: Response): ResponseFigures {
  return { count, firstByteNs: { sum: Number(sumNanoseconds), max: Number(longestNanoseconds) }, histogram };
}

function tcpOf(message: Tcp): TcpFigures {
  const { handshakeNanoseconds: handshake, rttLeastNanoseconds: least, rttSmoothedNanoseconds: smoothed } = message;
  const { retransmits, lost, outOfOrder } = message;
  const state = TCP_STATES.find((known) => known === message.state);
  const failure = TCP_FAILURES.find((known) => known === message.failure);
  const resetBy = (["local", "remote"] as const).find((known) => known === message.resetBy);
  const rtt = smoothed === undefined ? undefined : { smoothedNs: Number(smoothed) };
  return {
    ...(handshake === undefined ? {} : { handshakeNs: Number(handshake) }),
    ...(rtt === undefined ? {} : { rtt: { ...(least === undefined ? {} : { minNs: Number(least) }), ...rtt } }),
    ...(state === undefined ? {} : { state, retransmits, lost, outOfOrder }),
    ...(resetBy === undefined ? {} : { resetBy }),
    ...(failure === undefined ? {} : { failure }),
  };
}

function firstPayloadOf(sent: bigint | undefined, received: bigint | undefined): Partial<Ways<number>> {
  return {
    ...(sent === undefined ? {} : { sent: Number(sent) }),
    ...(received === undefined ? {} : { received: Number(received) }),
  };
}

function lostOf(time: string, message: Loss): LostEvent {
  const where = message.where as LossPlace;
  const kind = RECORD_KINDS.find((known) => known === message.kind);
  return { time, type: "lost", where, ...(kind === undefined ? {} : { kind }), count: Number(message.count) };
}

function workloadOf(message: Workload | undefined): WorkloadReference {
  const { name = "", namespace = "", labels = {}, uid = "" } = message ?? {};
  return { name, namespace, labels, ...(uid === "" ? {} : { uid }) };
}

function processOf({
  key,
  pid,
  path,
  script,
  comm,
  startTime,
  modified,
  container,
  parent,
}: Process): ProcessReference {
  return {
    ...(key === "" ? {} : { key }),
    ...(pid === undefined ? {} : { pid }),
    ...(path === "" ? {} : { path }),
    ...(script === "" ? {} : { script }),
    ...(comm === undefined ? {} : { comm }),
    ...(startTime === 0n ? {} : { startTime: timeText(startTime) }),
    ...(modified ? { modified } : {}),
    ...(container === "" ? {} : { container }),
    ...(parent === undefined
      ? {}
      : { parent: { pid: parent.pid, ...(parent.path === "" ? {} : { path: parent.path }) } }),
  };
}

function endpointOf(message: EndpointMessage | undefined): Endpoint {
  const { address: ip = "", port, name = "" } = message ?? {};
  return { ip, ...(port === undefined ? {} : { port }), ...(name === "" ? {} : { name }) };
}

function dnsOf({ name, type, rcode, opcode }: Question): DnsPart {
  return { name, type, ...(rcode === "" ? {} : { rcode }), ...(opcode === "" ? {} : { opcode }) };
}

function malformedOf({ fault, offset }: Malformed): DnsMalformedPart {
  return { fault: fault as DnsFault, offset };
}

/** Of RFC 3339 with milliseconds, as records have it. */
function nanoseconds(time: string): bigint {
  return BigInt(Date.parse(time)) * NS_PER_MS;
}

function timeText(time: bigint): string {
  return new Date(Number(time / NS_PER_MS)).toISOString();
}
