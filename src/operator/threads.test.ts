/** The operator's profiles' thread ends, whatever for: it is begun again, and nothing that was said, edited or deleted meanwhile is lost. */
import assert from "node:assert/strict";
import diagnostics from "node:diagnostics_channel";
import { after, afterEach, before, beforeEach, test } from "node:test";
import type { Worker } from "node:worker_threads";
import type { SecurityProfileSpec } from "../api/types.ts";
import { eventually } from "../kube/testing/silence.ts";
import { SECURITY_PROFILES } from "./cluster/kinds.ts";
import type { TestAgent } from "./testing/agent.ts";
import { TestCluster } from "./testing/cluster.ts";

const LIMIT_MS = 30_000;
/** Node says here which threads begin. */
const CHANNEL = "worker_threads";

let threads: Worker[] = [];
let cluster: TestCluster;

const begun = (message: unknown) => threads.push((message as { worker: Worker }).worker);
before(() => diagnostics.subscribe(CHANNEL, begun));
after(() => diagnostics.unsubscribe(CHANNEL, begun));
beforeEach(async () => {
  threads = [];
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

const allowing = (cidr: string): SecurityProfileSpec => ({
  actions: ["enforce"],
  default: { egress: { cidr4: [cidr] } },
});

function peerOf(agent: TestAgent, pod: string): string {
  const table = agent.held.tables.get(agent.binding(pod)?.tableHash ?? "");
  return table?.default?.egress.peers4[0]?.address ?? "";
}

test("the profiles' thread is killed, again and again, while profiles are edited, made and deleted", async () => {
  for (const name of ["web", "gone", "late"]) cluster.pod(name);
  for (const name of ["web", "gone"]) cluster.profile(name, allowing("10.1.0.0/16"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually(
    "both are bound",
    () => peerOf(agent, "web") === "10.1.0.0" && peerOf(agent, "gone") === "10.1.0.0",
    LIMIT_MS,
  );
  const states = agent.states.length;
  await threads.at(-1)?.terminate();
  assert.equal(operator.isLeader, true, "the Lease is none of its affairs");
  await eventually("another thread", () => threads.length === 2, LIMIT_MS);
  await eventually("all is read again", () => operator.problems.length === 0, LIMIT_MS);
  assert.equal(agent.states.length, states, "what is in force has not changed, and nothing is sent");

  cluster.profile("web", allowing("10.2.0.0/16"), 2);
  await threads.at(-1)?.terminate();
  cluster.profile("late", allowing("10.3.0.0/16"));
  cluster.server.remove(SECURITY_PROFILES, "default/gone");
  await eventually("the edit", () => peerOf(agent, "web") === "10.2.0.0", LIMIT_MS);
  await eventually("the new one", () => peerOf(agent, "late") === "10.3.0.0", LIMIT_MS);
  await eventually("the end of the deleted one", () => peerOf(agent, "gone") === "", LIMIT_MS);
  await cluster.becomes("web", "Enforced", "True Enforced");
  assert.equal(threads.length, 3);
  assert.equal(agent.ended, null, "the agent was never cut off");
  assert.equal(operator.isLeader, true);
});
