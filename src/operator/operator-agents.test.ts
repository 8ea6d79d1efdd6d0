import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { CountersSchema } from "../gen/agent_pb.js";
import { ViolationsSchema } from "../gen/telemetry_pb.js";
import { EVENTS } from "../kube/resources.ts";
import { eventually } from "../kube/testing/silence.ts";
import { LEADER_METADATA, PROTOCOL_VERSION } from "../protocol/service.ts";
import { allowing, peersOf, TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

test("a slow agent is asked one thing at a time, and nobody waits for it", async () => {
  cluster.pod("web", { node: "slow" });
  cluster.pod("web-2", { node: "quick", labels: { app: "web" } });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const slow = cluster.agent(operator, "slow", { answer: () => null });
  const quick = cluster.agent(operator, "quick");
  await eventually("both have something", () => slow.states.length === 1 && quick.states.length === 1);
  for (let generation = 2; generation < 8; generation += 1) {
    cluster.profile("web", allowing(`10.${generation}.0.0/16`), generation);
    await eventually("the quick one", () => peersOf(quick, "web-2").join() === `10.${generation}.0.0`);
  }
  assert.equal(slow.states.length, 1);
  const value = { $typeName: "portcullis.agent.v1.Acknowledgement" as const, revision: 1n };
  slow.held = slow.held.applied(slow.states[0] ?? []);
  slow.send({ case: "acknowledgement", value });
  await eventually("all of it at once", () => slow.states.length === 2);
  slow.held = slow.held.applied(slow.states[1] ?? []);
  assert.deepEqual(peersOf(slow, "web"), ["10.7.0.0"]);
});

test("an agent that comes back with what it is to have is sent nothing twice", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const first = cluster.agent(operator, "n1");
  await eventually("held", () => first.held.bindings.size === 1);
  first.disconnect();
  const again = cluster.agent(operator, "n1", { held: first.held });
  await eventually("a revision", () => again.states.length === 1);
  const [part] = again.states[0] ?? [];
  assert.deepEqual([part?.full, part?.bindings.length, part?.tables.length], [false, 0, 0]);
  again.disconnect();
  cluster.pod("web-2", { labels: { app: "web" } });
  const third = cluster.agent(operator, "n1", { held: first.held });
  await eventually("a revision", () => third.states.length === 1);
  const [full] = third.states[0] ?? [];
  assert.deepEqual([full?.full, full?.bindings.length, full?.tables.length], [true, 2, 0]);
});

test("an agent that disagrees on what it holds gets all of it anew", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  let disagree = true;
  const agent = cluster.agent(operator, "n1", {
    answer: () => {
      if (!disagree) return "acknowledge";
      disagree = false;
      return { code: "PC_STATE_HASH", message: "another state" };
    },
  });
  await eventually("held", () => agent.held.bindings.size === 1);
  assert.deepEqual(
    [agent.states.length, agent.states[1]?.[0]?.full, agent.states[1]?.[0]?.tables.length],
    [2, true, 1],
  );
});

test("an agent that hangs is reported, and a pod that it never saw has an event that says what that means", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  let hangs = false;
  cluster.agent(operator, "n1", { answer: () => (hangs ? null : "acknowledge") });
  await cluster.becomes("web", "Enforced", "True Enforced");
  hangs = true;
  cluster.pod("new", { labels: { app: "web" } });
  await cluster.becomes("web", "Enforced", "False NodesFailing");
  await operator.stop();
  const events = cluster.server.list(EVENTS) as unknown as {
    regarding: { name: string };
    reason: string;
    note: string;
  }[];
  assert.deepEqual(
    events.map(({ regarding, reason }) => [regarding.name, reason]),
    [["new", "NotJudged"]],
  );
  assert.match(events[0]?.note ?? "", /has not answered since .*nothing judges it, and its traffic passes/);
});

test("packets that are allowed are no reason to write a status every few seconds, and are not forgotten", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  const verdict = { direction: "egress", verdict: "allowed", reason: "Allowed", packets: 7n };
  const process = {
    $typeName: "portcullis.agent.v1.ProcessCounters" as const,
    profile: "default/web",
    path: "/bin/app",
    container: "",
    verdicts: [{ $typeName: "portcullis.agent.v1.VerdictCount" as const, ...verdict }],
  };
  agent.send({ case: "counters", value: create(CountersSchema, { sequence: 1n, processes: [process] }) });
  const allowed = () => cluster.status("web")?.processes[0]?.allowed;
  await wait(6_500);
  assert.equal(allowed(), 0, "what is urgent would have been written by now");
  await operator.stop();
  assert.equal(allowed(), 7);
});

test("a pod that was let through while nothing was known of it is reported once it is known", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const agent = cluster.agent(await cluster.operator(), "n1");
  await eventually("held", () => agent.held.bindings.size === 1);
  agent.reportAll(() => ({ letThrough: BigInt(Date.parse("2026-01-02T03:04:05Z")) }));
  const notes = () => cluster.server.list(EVENTS).filter(({ reason }) => reason === "NotJudged");
  await eventually("an event on the pod", () => notes().length === 1, 20_000);
  assert.match(String(notes()[0]?.note), /let through at 2026-01-02T03:04:05Z/);
  await eventually("the status", () => /1 were let through first, default\/web/.test(enforcedMessage()), 20_000);
});

const enforcedMessage = () => cluster.status("web")?.conditions.find(({ type }) => type === "Enforced")?.message ?? "";

test("counts and violations come to the status, and to events on the pod", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("held", () => agent.held.bindings.size === 1);
  const verdicts = [
    { direction: "egress", verdict: "dropped", reason: "Peer", packets: 5n },
    { direction: "egress", verdict: "allowed", reason: "Allowed", packets: 7n },
  ].map((verdict) => ({ $typeName: "portcullis.agent.v1.VerdictCount" as const, ...verdict }));
  const process = (profile: string) => ({
    $typeName: "portcullis.agent.v1.ProcessCounters" as const,
    profile,
    path: "/bin/app",
    container: "",
    verdicts,
  });
  const counters = create(CountersSchema, {
    sequence: 1n,
    processes: [process("default/web"), process("default/alien")],
  });
  agent.send({ case: "counters", value: counters });
  agent.send({ case: "counters", value: counters });
  const violation = (podUid: string) => ({
    $typeName: "portcullis.agent.v1.Violation" as const,
    time: BigInt(Date.parse("2026-01-02T03:04:05Z")),
    podUid,
    profiles: ["default/web", "default/alien"],
    path: "/bin/app",
    container: "",
    direction: "egress",
    verdict: "dropped",
    reason: "Peer",
    protocol: "tcp",
    remoteAddress: "192.0.2.1",
    remoteName: "",
    port: 80,
    question: "",
    count: 5n,
  });
  const violations = [violation("uid-default-web"), violation("uid-of-another-node")];
  agent.report({ case: "violations", value: create(ViolationsSchema, { violations }) });
  await eventually("counted", () => cluster.status("web")?.dropped === 5, 12_000);
  assert.deepEqual(cluster.status("web")?.processes, [{ path: "/bin/app", allowed: 7, dropped: 5, alerted: 0 }]);
  assert.deepEqual(cluster.status("web")?.lastViolation, {
    time: "2026-01-02T03:04:05Z",
    node: "n1",
    pod: "default/web",
    process: "/bin/app",
    reason: "Peer",
    remote: "192.0.2.1 port 80/tcp",
  });
  await eventually("an event", () => cluster.server.list(EVENTS).length === 1);
  const [event] = cluster.server.list(EVENTS) as unknown as {
    note: string;
    regarding: { name: string };
    type: string;
  }[];
  assert.equal(event?.regarding.name, "web");
  assert.equal(event?.note, "dropped egress of /bin/app to 192.0.2.1 port 80/tcp: Peer (profile default/web)");
  assert.equal(agent.received.filter(({ message }) => message.case === "countersAcknowledgement").length, 2);
});

test("who may connect, and as whom", async () => {
  cluster.pod("web");
  cluster.pod("agent-x", { namespace: "portcullis-system", node: "n7" });
  const operator = await cluster.operator();
  const ended = async (token: string, node: string, saidNode?: string) => {
    const agent = cluster.agent(operator, node, { token, ...(saidNode ? { saidNode } : {}) });
    await eventually("an end", () => agent.ended !== null);
    return agent.ended?.code;
  };
  await eventually("it serves", () => operator.isLeader);
  assert.equal(await ended("", "n1"), GrpcStatus.UNAUTHENTICATED);
  assert.equal(await ended("nonsense", "n1"), GrpcStatus.UNAUTHENTICATED);
  assert.equal(await ended("other-on-n1", "n1"), GrpcStatus.PERMISSION_DENIED);
  assert.equal(await ended("agent-on-n1", "n1", "n2"), GrpcStatus.PERMISSION_DENIED);
  assert.equal(await ended("bound-to-nobody", "n7"), GrpcStatus.PERMISSION_DENIED);
  const good = cluster.agent(operator, "n1");
  await eventually("a good one", () => good.states.length === 1);
  assert.equal(await ended("agent-on-n1", "n1", "n2"), GrpcStatus.PERMISSION_DENIED);
  assert.equal(good.ended, null);
  const bound = cluster.agent(operator, "n7", { token: "bound-to-agent-x" });
  await eventually("a node by its pod", () => bound.states.length === 1);
  cluster.server.fail(/tokenreviews/, 500);
  assert.equal(await ended("agent-on-n1", "n1"), GrpcStatus.UNAVAILABLE);
});

test("an agent of another protocol is not let in, and its node's pods say why, until it is upgraded", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const old = cluster.agent(operator, "n1", { protocol: PROTOCOL_VERSION - 1 });
  await eventually("an end", () => old.ended !== null);
  assert.equal(old.ended?.code, GrpcStatus.FAILED_PRECONDITION);
  await cluster.becomes("web", "Enforced", "False NodesFailing");
  const [failing] = cluster.status("web")?.failingNodes ?? [];
  assert.equal(failing?.reason, "AgentIncompatible");
  assert.match(failing?.message ?? "", /speaks protocol 0, this operator 1; upgrade the older/);
  const upgraded = cluster.agent(operator, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  const second = cluster.agent(operator, "n1", { protocol: PROTOCOL_VERSION + 1 });
  await eventually("another end", () => second.ended !== null);
  assert.equal(upgraded.ended, null, "one that is at work stays so");
  assert.equal(cluster.condition("web", "Enforced"), "True Enforced");
});

test("only the leader serves; the other tells where it is, and takes over", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const election = {
    namespace: "portcullis-system",
    leaseName: "operator",
    leaseDuration: 1_000,
    renewDeadline: 500,
    retryPeriod: 50,
  };
  const one = await cluster.operator(election, "one");
  await eventually("one leads", () => one.isLeader);
  const two = await cluster.operator(election, "two");
  await eventually("two is ready", () => two.problems.length === 0);
  let refused = cluster.agent(two, "n1");
  await eventually("a refusal that says where", () => {
    if (refused.ended?.metadata.get(LEADER_METADATA)[0] === "one:8443") return true;
    if (refused.ended !== null) refused = cluster.agent(two, "n1");
    return false;
  });
  const agent = cluster.agent(one, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  await one.stop();
  await eventually("the agent is sent away", () => agent.ended?.code === GrpcStatus.UNAVAILABLE);
  await eventually("two leads", () => two.isLeader);
  const after = cluster.agent(two, "n1", { held: agent.held });
  await eventually("held there", () => after.states.length === 1);
  assert.equal(after.states[0]?.[0]?.full, false);
});
