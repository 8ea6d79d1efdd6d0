/**
 * One connection to the operator, as an agent makes it, from the second node. The operator's answer is what is asked for: run as a program,
 * `agent-connection.ts ADDRESS AUTHORITY SERVER_NAME NODE [nonsense]`, with the token on standard input, it prints it.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { PodStateSchema, PodStatesSchema } from "../../../../src/gen/agent_pb.js";
import { TestAgent } from "../../../../src/operator/testing/agent.ts";
import type { Cluster } from "../cluster.ts";

const POLL_MS = 20;
const TIMEOUT_MS = 10_000;

export interface AgentConnection {
  address: string;
  token: string;
  /** The node that it says it is of. */
  saidNode: string;
  /** File. */
  authority: string;
  /** Namespace of the operator. */
  system: string;
  /** It reports a pod with a code that is no code. */
  nonsense?: boolean;
}

/** How the operator ended the stream; ACCEPTED where it did not. */
export interface ConnectionEnd {
  code: string;
  details: string;
}

export function connectAgent(cluster: Cluster, options: AgentConnection): ConnectionEnd {
  const { address, token, saidNode, authority, system, nonsense = false } = options;
  const name = `portcullis-operator.${system}.svc`;
  const program = [process.execPath, "--disable-warning=ExperimentalWarning", import.meta.filename];
  const enter = [`--net=/run/netns/${cluster.nodes[1]?.place.netns}`, "--"];
  const output = execFileSync("nsenter", [...enter, ...program, address, authority, name, saidNode, String(nonsense)], {
    input: token,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "inherit"],
    timeout: 2 * TIMEOUT_MS,
  });
  return JSON.parse(output) as ConnectionEnd;
}

async function connect(
  address: string,
  authority: string,
  name: string,
  node: string,
  nonsense: boolean,
): Promise<ConnectionEnd> {
  const tls = { authority: readFileSync(authority), name };
  const token = readFileSync(0, "utf8");
  const agent = new TestAgent({ address, node, token, tls }).connect();
  const deadline = Date.now() + TIMEOUT_MS;
  while (agent.ended === null && agent.received.length === 0 && Date.now() < deadline) await sleep(POLL_MS);
  if (nonsense && agent.ended === null) {
    const pods = [create(PodStateSchema, { code: "it failed" })];
    agent.send({ case: "podStates", value: create(PodStatesSchema, { pods }) });
    while (agent.ended === null && Date.now() < deadline) await sleep(POLL_MS);
  }
  const { ended } = agent;
  agent.disconnect();
  if (ended === null) return { code: agent.received.length > 0 ? "ACCEPTED" : "SILENCE", details: "" };
  return { code: GrpcStatus[ended.code] ?? String(ended.code), details: ended.details };
}

if (import.meta.main) {
  const [address = "", authority = "", name = "", node = "", nonsense = ""] = process.argv.slice(2);
  console.log(JSON.stringify(await connect(address, authority, name, node, nonsense === "true")));
  process.exit(0);
}
