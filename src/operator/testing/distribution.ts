/** For tests: a server of agents that wants nothing of them. */
import type { TokenUser } from "../../kube/access/token-review.ts";
import { silentLogger } from "../../kube/testing/silence.ts";
import { AgentRecords } from "../distribution/agent-records.ts";
import type { DistributionOptions } from "../distribution/server.ts";

const nothing = () => {};

/** Who the token of an agent on node `n1` says that it is. */
export const AGENT_USER: TokenUser = {
  username: "system:serviceaccount:a:b",
  uid: "1",
  groups: [],
  extra: { "authentication.kubernetes.io/node-name": ["n1"] },
};

export const NO_METER: DistributionOptions["meter"] = {
  connection: nothing,
  sent: nothing,
  acknowledged: nothing,
  refused: nothing,
  badMessage: nothing,
};

/** On loopback, without TLS. @param review of tokens; without one, each of them is an agent's */
export function distributionOptions(
  review: DistributionOptions["authentication"]["review"] = async () => AGENT_USER,
): DistributionOptions {
  return {
    version: "test",
    address: "127.0.0.1:0",
    tls: null,
    authentication: { serviceAccount: "a/b", review, nodeOfPod: () => null },
    notServing: () => null,
    observers: { connected: nothing, disconnected: nothing, observed: nothing },
    records: new AgentRecords(),
    wanted: () => ({ bindings: new Map(), tables: new Map(), enforcing: null }),
    isPlanning: () => false,
    nodes: () => 1,
    meter: NO_METER,
    log: silentLogger(),
  };
}
