/** What a record from an agent may hold: every field of flow.proto, with its range. */
import { DIRECTIONS, DNS_FAULTS, VERDICTS } from "../api/reasons.ts";
import { LOSS_PLACES } from "../flow/record.ts";
import type {
  Endpoint,
  Flow,
  Judgement,
  Loss,
  Malformed,
  Parent,
  Passed,
  Process,
  Question,
  Record as RecordMessage,
  Response,
  Tcp,
  Workload,
} from "../gen/flow_pb.js";
import {
  type Check,
  entries,
  type FieldChecks,
  flag,
  list,
  message,
  oneOf,
  optional,
  text,
  UINT32_MAX,
  UINT64_MAX,
  whole,
} from "./field-checks.ts";

/** Nanoseconds: a moment of the year 2262, and whatever is later does not fit the field. */
const TIME_MAX = 2n ** 63n - 1n;

const name = text(253);
/** PATH_MAX of Linux, where every byte may be written as four characters. */
const path = text(16_384);
/** Names in DNS have 255 bytes, each of which is four characters at most. */
const domain = text(1024);
const word = text(64);
const number = whole(0, UINT32_MAX);
const count = whole(0n, UINT64_MAX);
const time = whole(0n, TIME_MAX);

const workload: FieldChecks<Workload> = {
  namespace: name,
  name,
  uid: text(128),
  labels: entries(10_000, text(512), text(256)),
};
const parent: FieldChecks<Parent> = { pid: number, path };
const process: FieldChecks<Process> = {
  key: text(128),
  pid: optional(number),
  path,
  script: path,
  comm: optional(word),
  startTime: time,
  modified: flag,
  container: name,
  parent: optional(message(parent)),
};
const endpoint: FieldChecks<Endpoint> = { address: word, port: optional(whole(0, 65_535)), name: domain };
const question: FieldChecks<Question> = { name: domain, type: word, rcode: word, opcode: word };
const malformed: FieldChecks<Malformed> = { fault: oneOf(DNS_FAULTS), offset: number };
const judgement: FieldChecks<Judgement> = {
  type: oneOf(["verdict", "dns", "listen"]),
  verdict: oneOf(VERDICTS),
  reason: word,
  direction: oneOf(DIRECTIONS),
  workload: message(workload),
  profiles: list(256, text(512)),
  process: optional(message(process)),
  protocol: word,
  source: message(endpoint),
  destination: message(endpoint),
  application: word,
  question: optional(message(question)),
  malformed: optional(message(malformed)),
  count,
};
const loss: FieldChecks<Loss> = { where: oneOf(LOSS_PLACES), kind: word, count };

const passed: FieldChecks<Passed> = {
  packets: count,
  bytes: count,
  firstPayloadNanoseconds: optional(count),
  tcpFlags: word,
};
const tcp: FieldChecks<Tcp> = {
  handshakeNanoseconds: optional(count),
  state: word,
  rttLeastNanoseconds: optional(count),
  rttSmoothedNanoseconds: optional(count),
  retransmits: count,
  lost: count,
  outOfOrder: count,
  resetBy: word,
  failure: word,
};
const response: FieldChecks<Response> = {
  count,
  sumNanoseconds: count,
  longestNanoseconds: count,
  histogram: list(16, count),
};
const flow: FieldChecks<Flow> = {
  id: word,
  end: word,
  start: time,
  durationNanoseconds: count,
  verdict: oneOf(VERDICTS),
  reason: word,
  direction: oneOf(DIRECTIONS),
  workload: message(workload),
  profiles: list(256, text(512)),
  process: optional(message(process)),
  protocol: word,
  source: message(endpoint),
  destination: message(endpoint),
  application: word,
  sent: message(passed),
  received: message(passed),
  tcp: optional(message(tcp)),
  response: optional(message(response)),
};

const BODIES: Readonly<Record<NonNullable<RecordMessage["body"]["case"]>, Check>> = {
  judgement: message(judgement),
  loss: message(loss),
  flow: message(flow),
};

const record: FieldChecks<RecordMessage> = {
  time,
  // A kind of a newer version is no body to us.
  body: (value, field) => {
    const body = value as RecordMessage["body"];
    if (body.case !== undefined) BODIES[body.case](body.value, `${field}.${body.case}`);
  },
};

/** Checks a record. */
export const checkRecord: Check = message(record);
