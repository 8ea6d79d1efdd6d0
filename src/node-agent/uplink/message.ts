/** What an agent says, wrapped for the wire. */
import { create } from "@bufbuild/protobuf";
import { type AgentMessage, AgentMessageSchema } from "../../gen/agent_pb.js";

export function message(content: AgentMessage["message"]): AgentMessage {
  return create(AgentMessageSchema, { message: content });
}
