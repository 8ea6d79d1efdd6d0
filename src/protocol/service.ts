/** The services as gRPC takes them, and the words that both ends have to agree on. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@grpc/grpc-js";
import { type AgentMessage, AgentMessageSchema, type OperatorMessage, OperatorMessageSchema } from "../gen/agent_pb.js";
import {
  type TelemetryReport,
  TelemetryReportSchema,
  type TelemetryRequest,
  TelemetryRequestSchema,
} from "../gen/telemetry_pb.js";

/** Raised with every change that older sides cannot live with. */
export const PROTOCOL_VERSION = 1;

/** Audience that an agent's service-account token has to be for. */
export const TOKEN_AUDIENCE = "portcullis-operator";

/**
 * Key of the trailing metadata in which an operator that is not the leader, and so answers UNAVAILABLE, says where the
 * leader is: `host:port`, or empty where it knows of none. The leader's certificate is for the same name as all operators'.
 */
export const LEADER_METADATA = "portcullis-leader";

/** Largest message in bytes, both ways. Messages are made to stay far below it: see `MAX_PART_BYTES`. */
export const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Largest message of an agent: no report comes near it. */
export const MAX_AGENT_MESSAGE_BYTES = 4 * 1024 * 1024;

/** A State is sent in parts of about this many bytes. */
export const MAX_PART_BYTES = 512 * 1024;

/** A stream without traffic is asked by the agent whether it still lives after this many milliseconds. */
export const KEEPALIVE_MS = 20_000;
/** And by the operator, which has to tell of an agent that hangs. */
export const HEARTBEAT_MS = 5_000;
/** And is given up after as many more without an answer. */
export const KEEPALIVE_TIMEOUT_MS = 10_000;

/** Policy, and what is reported of it. */
export const DISTRIBUTION_SERVICE = {
  connect: bidirectional("/portcullis.agent.v1.Distribution/Connect", AgentMessageSchema, OperatorMessageSchema),
} as ServiceDefinition<{ connect: MethodDefinition<AgentMessage, OperatorMessage> }>;

/** What may wait, or be left out. */
export const TELEMETRY_SERVICE = {
  report: bidirectional("/portcullis.agent.v1.Telemetry/Report", TelemetryReportSchema, TelemetryRequestSchema),
} as ServiceDefinition<{ report: MethodDefinition<TelemetryReport, TelemetryRequest> }>;

/** What reading a message has cost: its bytes on the wire, and the milliseconds of decoding them. */
interface ReadingCost {
  bytes: number;
  milliseconds: number;
}

const costs = new WeakMap<object, ReadingCost>();
const NO_COST: ReadingCost = { bytes: 0, milliseconds: 0 };

/** Nothing for a message that did not come over a wire. */
export function readingCost(message: object): ReadingCost {
  return costs.get(message) ?? NO_COST;
}

function bidirectional(path: string, request: DescMessage, response: DescMessage) {
  return {
    path,
    requestStream: true,
    responseStream: true,
    ...codec("request", request),
    ...codec("response", response),
  };
}

function codec<Side extends "request" | "response", Schema extends DescMessage>(side: Side, schema: Schema) {
  return {
    [`${side}Serialize`]: (message: MessageShape<Schema>) => {
      const { buffer, byteOffset, byteLength } = toBinary(schema, message);
      return Buffer.from(buffer, byteOffset, byteLength);
    },
    [`${side}Deserialize`]: (bytes: Buffer) => {
      const begun = performance.now();
      const message = fromBinary(schema, bytes, { readUnknownFields: false });
      costs.set(message, { bytes: bytes.length, milliseconds: performance.now() - begun });
      return message;
    },
  };
}
