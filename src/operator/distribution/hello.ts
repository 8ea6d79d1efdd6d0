/** Checks an agent's first message. */
import { status as GrpcStatus } from "@grpc/grpc-js";
import type { Hello } from "../../gen/agent_pb.js";
import { PROTOCOL_VERSION } from "../../protocol/service.ts";
import { StreamRefusal } from "./authentication.ts";

/** The agent is of a version that this operator cannot work with. */
export class ProtocolRefusal extends StreamRefusal {
  constructor(protocol: number) {
    super(
      GrpcStatus.FAILED_PRECONDITION,
      `the agent speaks protocol ${protocol}, this operator ${PROTOCOL_VERSION}; upgrade the older of the two`,
    );
  }
}

/**
 * @param node of the agent's token
 * @throws ProtocolRefusal, StreamRefusal
 */
export function checkHello({ protocol, nodeName }: Hello, node: string): void {
  if (protocol !== PROTOCOL_VERSION) throw new ProtocolRefusal(protocol);
  if (nodeName !== node) {
    throw new StreamRefusal(
      GrpcStatus.PERMISSION_DENIED,
      `the token is of node ${node}, and the agent says that it is node ${nodeName}`,
    );
  }
}
