/**
 * The JSON schema of events (draft 7), version 1: what programs that read them may rely on. Within a version fields are only
 * added. docs/events.schema.json is generated from it.
 */
import { Ajv, type ErrorObject } from "ajv";
import { PortcullisError } from "../api/errors.ts";
import { DIRECTIONS, DNS_FAULTS, REASONS, VERDICTS } from "../api/reasons.ts";
import { EFFECTS } from "../api/types.ts";
import { type AgentEvent, FLOW_ENDS, LOSS_PLACES, RECORD_KINDS, TCP_FAILURES, TCP_STATES } from "./record.ts";

/** An object that is not an event: the message names the field, and what it should be. */
export class EventFormatError extends PortcullisError {
  constructor(where: string, message: string) {
    super("PC_EVENT_INVALID", `${where}: ${message}; docs/events.md describes what an event looks like`);
  }
}

const text = (description: string) => ({ type: "string", description });
const count = (description: string) => ({ type: "integer", minimum: 0, description });
const texts = (description: string) => ({ type: "array", items: { type: "string" }, description });
const oneOf = (values: readonly string[], description: string) => ({ type: "string", enum: [...values], description });

/** One of an event, which may say of which node it is. */
function event(properties: Record<string, object>, optional: readonly string[] = []): object {
  return record({ ...properties, node: text("name of the node; left out where all events are of one") }, [
    ...optional,
    "node",
  ]);
}

/** Nothing but these fields, of which all but the `optional` ones are there. */
function record(properties: Record<string, object>, optional: readonly string[] = []): object {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, required, additionalProperties: false };
}

const TIME = { type: "string", format: "date-time", description: "RFC 3339, UTC" };
const WORKLOAD = record(
  {
    name: text("the pod's name, or that of the network namespace"),
    namespace: text("its Kubernetes namespace"),
    labels: { type: "object", additionalProperties: { type: "string" }, description: "its labels" },
    uid: text("the pod's uid; absent for a network namespace that was named"),
  },
  ["uid"],
);
const ENDPOINT = record(
  {
    ip: text("the address"),
    port: { type: "integer", minimum: 0, maximum: 65535, description: "absent for protocols without ports" },
    name: text("the name that this process had learned the address under"),
  },
  ["port", "name"],
);
const PROCESS = record(
  {
    key: text("no other process of any node or time has it: boot id of the node, pid, start in ns since that boot"),
    pid: count("in the agent's PID namespace; absent where the event stands for several processes of one path"),
    path: text("the executable file inside the container; absent where the kernel could not resolve it"),
    script: text("the script that was executed, where `path` is its interpreter"),
    comm: text("the kernel's short name of the process"),
    startTime: TIME,
    modified: { type: "boolean", description: "true: not the image's own file (BinaryModified)" },
    container: text("the container's name, where a profile tells containers apart"),
    parent: record({ pid: count("the parent's number"), path: text("the parent's executable") }, ["path"]),
  },
  ["key", "pid", "path", "script", "comm", "startTime", "modified", "container", "parent"],
);
const DNS = record(
  {
    name: text("the name that was asked"),
    type: text("A, AAAA, TXT, ... or TYPE65280"),
    rcode: text("NOERROR, NXDOMAIN, ...; answers only"),
    opcode: text("NOTIFY, UPDATE or STATUS; absent for a query"),
  },
  ["rcode", "opcode"],
);
const MALFORMED = record({
  fault: oneOf(DNS_FAULTS, "what is wrong; docs/dns.md has a sentence for each"),
  offset: count("byte of the message, or of its segment, at which it was seen"),
});

/** By the workload's side. */
const ways = (what: object, optional: readonly string[] = []) => record({ sent: what, received: what }, optional);

const TCP = record(
  {
    handshakeNs: count("from the first segment until the connection stood"),
    state: oneOf(TCP_STATES, "the last state before its socket was closed"),
    rtt: record({ minNs: count("the least round trip"), smoothedNs: count("the smoothed round trip") }, ["minNs"]),
    retransmits: count("segments that were sent again"),
    lost: count("segments that were taken for lost"),
    outOfOrder: count("segments that came out of order"),
    resetBy: oneOf(["local", "remote"], "who reset it"),
    failure: oneOf(TCP_FAILURES, "why it failed"),
  },
  ["handshakeNs", "state", "rtt", "retransmits", "lost", "outOfOrder", "resetBy", "failure"],
);

const RESPONSE = record({
  count: count("answers so far: changes of direction, from the side that began to the other"),
  firstByteNs: record({ sum: count("of all of them, from the last payload before"), max: count("the longest") }),
  histogram: {
    type: "array",
    items: { type: "integer", minimum: 0 },
    description: "answers that began in less than 2^7 us, less than 2^8 us and so on; the 16th has all others",
  },
});

const judged = {
  time: TIME,
  verdict: oneOf(VERDICTS, "what happened to the packets"),
  reason: oneOf(REASONS, "why; docs/reasons.md has a paragraph for each"),
  direction: oneOf(DIRECTIONS, "which way the packets went"),
  workload: WORKLOAD,
  profiles: texts("namespace/name: those that allowed it, or, of a violation, those that have rules for the process"),
  process: { anyOf: [PROCESS, { type: "null" }], description: "null: the packets belong to no process" },
  proto: text("tcp, udp, icmp, icmpv6, sctp, igmp, arp, or a number: of IP, or of Ethernet with 0x"),
  src: ENDPOINT,
  dst: ENDPOINT,
  application: text("dns, http or tls, recognised by the first bytes"),
  dns: DNS,
  malformed: MALFORMED,
  count: { ...count("how many packets the event stands for"), minimum: 1 },
};

const KINDS: Record<AgentEvent["type"], object> = {
  verdict: event({ type: { const: "verdict" }, ...judged }, ["application", "dns", "malformed"]),
  dns: event({ type: { const: "dns" }, ...judged }, ["application", "dns", "malformed"]),
  listen: event({ type: { const: "listen" }, ...judged }, ["application", "dns", "malformed"]),
  flow: event(
    {
      type: { const: "flow" },
      time: TIME,
      state: oneOf(["update", "end"], "update: it goes on; end: nothing more is counted"),
      end: oneOf(FLOW_ENDS, "why nothing more is counted"),
      id: text(
        "no other flow of any node or time has it; a later record of the same id takes the place of an earlier one",
      ),
      start: TIME,
      durationNs: count("from the first packet to the last, so far"),
      verdict: judged.verdict,
      reason: judged.reason,
      direction: oneOf(DIRECTIONS, "who began"),
      workload: WORKLOAD,
      profiles: judged.profiles,
      process: judged.process,
      proto: judged.proto,
      src: ENDPOINT,
      dst: ENDPOINT,
      application: judged.application,
      packets: ways(count("packets so far")),
      bytes: ways(count("their bytes, with the headers of the link layer, as interfaces count")),
      firstPayloadNs: ways(count("from the start to the first bytes of payload"), ["sent", "received"]),
      tcpFlags: ways(text("flags of all its segments, by their first letters")),
      tcp: TCP,
      response: RESPONSE,
    },
    ["end", "application", "firstPayloadNs", "tcpFlags", "tcp", "response"],
  ),
  ready: event({ type: { const: "ready" }, time: TIME, workloads: texts("names of the workloads in force") }),
  revision: event({
    type: { const: "revision" },
    time: TIME,
    revision: text("hash of the profiles' content"),
    refused: { type: "boolean", description: "true: the revision before it stays in force" },
    profiles: texts("namespace/name of the profiles in it"),
    errors: {
      type: "array",
      items: record({
        source: text("file or profile"),
        field: text("the field that is wrong; empty: the file as a whole"),
        message: text("what is wrong, as `portcullis validate` says it"),
      }),
      description: "why it was refused",
    },
    changes: {
      type: "array",
      items: record({ workload: text("its name"), changes: texts("what changed, in words") }),
      description: "what is different from the revision before",
    },
  }),
  workload: event(
    {
      type: { const: "workload" },
      time: TIME,
      workload: WORKLOAD,
      state: oneOf(
        [...EFFECTS, "partly", "unrestricted", "pending", "gone", "failed"],
        "what it is now; partly: something leaves it where nothing is judged",
      ),
      interfaces: texts("host-side interfaces that are guarded"),
      profiles: texts("namespace/name of the profiles that select it"),
      error: record({ code: text("PC_..."), message: text("what is wrong, and what to do") }),
    },
    ["error"],
  ),
  lost: event(
    {
      type: { const: "lost" },
      time: TIME,
      where: oneOf(
        LOSS_PLACES,
        "kernel: a ring buffer was full; output: whoever reads was too slow; queue: more than the agent could keep; disk: it did not take them; export: the destination of an export did not",
      ),
      kind: oneOf(RECORD_KINDS, "which of the kernel's ring buffers was full"),
      count: count("events that are missing"),
    },
    ["kind"],
  ),
};

export const EVENT_SCHEMA = {
  $schema: "http://json-schema.org/draft-07/schema#",
  $id: "portcullis:events:v1",
  title: "Portcullis events, version 1",
  description: "One object for each line of `portcullis agent` with its output in JSON",
  type: "object",
  discriminator: { propertyName: "type" },
  required: ["type"],
  oneOf: Object.values(KINDS),
};

const ajv = new Ajv({ strict: true, strictRequired: false, discriminator: true, formats: { "date-time": isTime } });
const validate = ajv.compile(EVENT_SCHEMA);

function isTime(value: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value) && !Number.isNaN(Date.parse(value));
}

/** @throws EventFormatError naming the field that is not as the schema has it */
export function checkEvent(value: unknown): AgentEvent {
  if (validate(value)) return value as unknown as AgentEvent;
  throw wrongField(validate.errors?.[0]);
}

function wrongField(error: ErrorObject | undefined): EventFormatError {
  if (error?.keyword === "discriminator") {
    return new EventFormatError("type", `is none of the types of events (${Object.keys(KINDS).join(", ")})`);
  }
  const where = (error?.instancePath ?? "").replaceAll("/", ".").replace(/^\./, "") || "the event";
  const detail =
    error?.keyword === "additionalProperties" ? ` (${String(error.params.additionalProperty)})` : listed(error?.params);
  return new EventFormatError(where, `${error?.message ?? "is not an event"}${detail}`);
}

function listed(params: ErrorObject["params"] | undefined): string {
  const values: unknown = params?.allowedValues;
  return Array.isArray(values) ? ` (${values.join(", ")})` : "";
}
