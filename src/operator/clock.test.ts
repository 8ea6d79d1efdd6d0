/** Somebody sets the machine's clock, by an hour: who leads, and what statuses say, goes on as if nothing had been. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { ViolationSchema, ViolationsSchema } from "../gen/telemetry_pb.js";
import { LeaderElection } from "../kube/leader.ts";
import { LEASES } from "../kube/resources.ts";
import { eventually, silentLogger } from "../kube/testing/silence.ts";
import { TestCluster } from "./testing/cluster.ts";

const HOUR_MS = 3_600_000;

let cluster: TestCluster;
const elections: LeaderElection[] = [];

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(async () => {
  mock.restoreAll();
  for (const election of elections.splice(0)) await election.stop();
  await cluster.close();
});

function setClock(by: number): void {
  const { now } = Date;
  mock.method(Date, "now", () => now() + by);
}

function candidate(identity: string, changes: string[] = []): LeaderElection {
  const election = new LeaderElection(cluster.server.connection(), {
    namespace: "system",
    name: "portcullis",
    identity,
    address: `${identity}:8443`,
    leaseDuration: 1_000,
    renewDeadline: 600,
    retryPeriod: 50,
    onStarted: () => changes.push("leads"),
    onStopped: () => changes.push("stops"),
    log: silentLogger(),
  });
  elections.push(election);
  election.start();
  return election;
}

for (const [what, by] of [
  ["back", -HOUR_MS],
  ["forward", HOUR_MS],
] as const) {
  test(`set ${what}, a leader that dies is followed in the lease's time, and not before`, async () => {
    cluster.server.put(LEASES, {
      metadata: { namespace: "system", name: "portcullis" },
      spec: { holderIdentity: "dead", leaseDurationSeconds: 1 },
    });
    const next = candidate("next");
    await eventually("it has looked", () => next.leader?.identity === "dead");
    setClock(by);
    await new Promise((settle) => setTimeout(settle, 300));
    assert.equal(next.isLeader, false);
    await eventually("it leads", () => next.isLeader);
  });
}

test("set back, a leader that cannot renew its Lease stops in time", async () => {
  const leader = candidate("leader");
  await eventually("it leads", () => leader.isLeader);
  setClock(-HOUR_MS);
  cluster.server.fail(/leases/, 500, 1000);
  await eventually("it stops", () => !leader.isLeader, 2_000);
});

test("set back, statuses are written, and an agent that goes is missed", async () => {
  const spec = { actions: ["enforce" as const], processes: [{ path: "/bin/app" }] };
  cluster.pod("web");
  cluster.profile("web", spec);
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  setClock(-HOUR_MS);
  cluster.profile("web", spec, 2);
  await eventually("the edit is in the status", () => cluster.status("web")?.observedGeneration === 2, 10_000);
  agent.disconnect();
  await eventually("it is missed", () => cluster.condition("web", "Enforced") === "False NodesFailing", 25_000);
});

/** What an agent says of a violation that it saw just now, by this machine's clock. */
function violation({ podUid }: { podUid: string }, remoteAddress: string) {
  const seen = { podUid, profiles: ["default/web"], path: "/bin/evil", direction: "egress", verdict: "dropped" };
  const where = { reason: "Peer", protocol: "tcp", remoteAddress, port: 80, count: 1n, time: BigInt(Date.now()) };
  const value = create(ViolationsSchema, { violations: [create(ViolationSchema, { ...seen, ...where })] });
  return { case: "violations" as const, value };
}

test("set back, a violation of now is the last one, though an earlier one was later by the clock", async () => {
  cluster.pod("web");
  cluster.profile("web", { actions: ["enforce" as const], processes: [{ path: "/bin/app" }] });
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  const remote = () => cluster.status("web")?.lastViolation?.remote ?? "";
  const pod = agent.binding("web") ?? { podUid: "" };
  agent.report(violation(pod, "192.0.2.1"));
  await eventually("the first", () => remote().startsWith("192.0.2.1 "), 10_000);
  setClock(-HOUR_MS);
  agent.report(violation(pod, "192.0.2.2"));
  await eventually("the second", () => remote().startsWith("192.0.2.2 "), 10_000);
});
