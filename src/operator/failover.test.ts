/** What a status counts, and since when it says something holds, never goes back when another replica leads. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { CountersSchema } from "../gen/agent_pb.js";
import { eventually } from "../kube/testing/silence.ts";
import type { TestAgent } from "./testing/agent.ts";
import { ELECTION, TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

function dropped(agent: TestAgent, sequence: bigint, packets: bigint): void {
  const verdicts = [
    {
      $typeName: "portcullis.agent.v1.VerdictCount" as const,
      direction: "egress",
      verdict: "dropped",
      reason: "Peer",
      packets,
    },
  ];
  const process = { profile: "default/web", path: "/bin/app", container: "", verdicts };
  const processes = [{ $typeName: "portcullis.agent.v1.ProcessCounters" as const, ...process }];
  agent.send({ case: "counters", value: create(CountersSchema, { sequence, processes }) });
}

test("a definition that has lost its status is reported, and no status counts as written", async () => {
  cluster.pod("web");
  cluster.profile("web", { actions: ["enforce"], processes: [{ path: "/bin/app" }] });
  cluster.server.fail(/PATCH .*\/status/, 404, 1000);
  const operator = await cluster.operator();
  cluster.agent(operator, "n1");
  await eventually(
    "it is reported",
    () => cluster.log.some((line) => /PC_STATUS_UNWRITABLE|cannot be written/.test(line)),
    10_000,
  );
  const metrics = await operator.telemetry.registry.metrics();
  assert.doesNotMatch(metrics, /status_writes_total\{result="ok"\} [1-9]/);
});

test("counts and times of transitions go on at a failover", async () => {
  cluster.pod("web");
  cluster.profile("web", { actions: ["enforce"], processes: [{ path: "/bin/app" }] });
  const one = await cluster.operator(ELECTION, "one");
  await eventually("one leads", () => one.isLeader, 20_000);
  const two = await cluster.operator(ELECTION, "two");
  await eventually("two is ready", () => two.problems.length === 0, 20_000);
  let agent = cluster.agent(one, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  const since = cluster.status("web")?.conditions.map(({ lastTransitionTime }) => lastTransitionTime);
  dropped(agent, 1n, 7n);
  await eventually("counted", () => cluster.status("web")?.dropped === 7, 20_000);
  const counts: number[] = [];
  const looks = setInterval(() => counts.push(cluster.status("web")?.dropped ?? 0), 5);
  await one.stop();
  await eventually("two leads", () => two.isLeader, 20_000);
  agent = cluster.agent(two, "n1");
  dropped(agent, 2n, 5n);
  await eventually("counted on", () => cluster.status("web")?.dropped === 12, 30_000);
  clearInterval(looks);
  assert.deepEqual(
    counts,
    [...counts].sort((left, right) => left - right),
  );
  assert.deepEqual(cluster.status("web")?.processes[0]?.dropped, 12);
  assert.deepEqual(
    cluster.status("web")?.conditions.map(({ lastTransitionTime }) => lastTransitionTime),
    since,
  );
});
