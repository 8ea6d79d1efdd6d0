/** The service as gRPC takes it, and the words that both ends have to agree on. */
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { ServiceDefinition } from "@grpc/grpc-js";
import { type AgentMessage, AgentMessageSchema, type OperatorMessage, OperatorMessageSchema } from "../gen/agent_pb.js";

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

export const DISTRIBUTION_SERVICE = {
  connect: {
    path: "/portcullis.agent.v1.Distribution/Connect",
    requestStream: true,
    responseStream: true,
    ...codec("request", AgentMessageSchema),
    ...codec("response", OperatorMessageSchema),
  },
} as ServiceDefinition<{
  connect: import("@grpc/grpc-js").MethodDefinition<AgentMessage, OperatorMessage>;
}>;

const sizes = new WeakMap<object, number>();

/** Bytes that a message had on the wire; 0 for one that did not come from there. */
export function receivedBytes(message: object): number {
  return sizes.get(message) ?? 0;
}

function codec<Side extends "request" | "response", Schema extends DescMessage>(side: Side, schema: Schema) {
  return {
    [`${side}Serialize`]: (message: MessageShape<Schema>) => {
      const { buffer, byteOffset, byteLength } = toBinary(schema, message);
      return Buffer.from(buffer, byteOffset, byteLength);
    },
    [`${side}Deserialize`]: (bytes: Buffer) => {
      const message = fromBinary(schema, bytes, { readUnknownFields: false });
      sizes.set(message, bytes.length);
      return message;
    },
  };
}
