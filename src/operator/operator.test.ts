import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { status as GrpcStatus } from "@grpc/grpc-js";
import { EVENTS } from "../kube/resources.ts";
import { eventually } from "../kube/testing/silence.ts";
import { CountersSchema, NodeProblemsSchema, PolicyKind, ViolationsSchema } from "../protocol/agent_pb.js";
import { LEADER_METADATA } from "../protocol/service.ts";
import { ENDPOINT_SLICES, PODS, SECURITY_PROFILES, SERVICES } from "./kinds.ts";
import { TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

const allowing = (...cidr4: string[]) => ({
  actions: ["alert" as const, "enforce" as const],
  processes: [{ path: "/bin/app", network: { egress: { cidr4, l4: { protocols: ["tcp" as const] } } } }],
});

const peersOf = (agent: import("./testing/agent.ts").TestAgent, pod: string): string[] => {
  const table = agent.held.tables.get(agent.binding(pod)?.tableHash ?? "");
  return table?.binaries[0]?.egress.peers4.map(({ address }) => address) ?? [];
};

test("a profile reaches the node, is in force, and its status says so", async () => {
  cluster.pod("web");
  cluster.pod("idle", { labels: { app: "none" } });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  assert.deepEqual(peersOf(agent, "web"), ["10.0.0.0"]);
  assert.equal(agent.binding("idle")?.policy, PolicyKind.UNRESTRICTED);
  assert.deepEqual(
    agent.binding("web")?.containers.map(({ name, id }) => [name, id]),
    [["app", "web"]],
  );
  const status = cluster.status("web");
  assert.deepEqual([status?.mode, status?.pods.text, status?.nodes.text], ["Enforce+Alert", "1/1", "1/1"]);
  assert.deepEqual(
    status?.conditions.map(({ type, status: holds }) => `${type} ${holds}`),
    ["Accepted True", "Programmed True", "Enforced True"],
  );
});

test("an edit, an invalid edit, a delete", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("the first", () => peersOf(agent, "web").join() === "10.0.0.0");
  cluster.profile("web", allowing("11.0.0.0/8"), 2);
  await eventually("the edit", () => peersOf(agent, "web").join() === "11.0.0.0");
  assert.equal(agent.states.at(-1)?.[0]?.full, false);
  cluster.profile("web", allowing("nonsense"), 3);
  await cluster.becomes("web", "Accepted", "False Invalid");
  await cluster.becomes("web", "Enforced", "False NotAccepted");
  assert.deepEqual(peersOf(agent, "web"), ["11.0.0.0"]);
  const enforced = cluster.status("web")?.conditions.find(({ type }) => type === "Enforced");
  assert.match(enforced?.message ?? "", /generation 3 is not valid.*generation 2 stays in force/);
  cluster.server.remove(SECURITY_PROFILES, "default/web");
  await eventually("no profile", () => agent.binding("web")?.policy === PolicyKind.UNRESTRICTED);
  assert.equal(agent.held.tables.size, 0);
});

test("no revision in between is ever sent: one that changes rules and selector together", async () => {
  cluster.pod("web");
  cluster.pod("db", { labels: { app: "db" } });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("the first", () => peersOf(agent, "web").join() === "10.0.0.0");
  cluster.profile("web", { ...allowing("11.0.0.0/8"), labelSelector: { matchLabels: { app: "db" } } }, 2);
  await eventually("the second", () => peersOf(agent, "db").join() === "11.0.0.0");
  assert.equal(agent.binding("web")?.policy, PolicyKind.UNRESTRICTED);
  assert.equal(agent.states.length, 2);
});

test("an invalid profile that was valid before the operator started leaves its pods as they are", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("nonsense"), 2);
  cluster.profile("new", { ...allowing("nonsense"), labelSelector: { matchLabels: { app: "other" } } }, 1);
  cluster.pod("other");
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("bindings", () => agent.held.bindings.size === 2);
  assert.equal(agent.binding("web")?.policy, PolicyKind.KEEP);
  assert.equal(agent.binding("other")?.policy, PolicyKind.UNRESTRICTED);
});

test("pods and services as peers are followed, and only the difference is sent", async () => {
  cluster.pod("web");
  for (let index = 0; index < 20; index += 1) {
    cluster.pod(`db-${index}`, { labels: { app: "db" }, ip: `10.1.0.${index + 1}`, node: "n2" });
  }
  cluster.pod("stray", { labels: { app: "db" }, namespace: "other", ip: "10.9.0.1", node: "n2" });
  cluster.pod("host", { labels: { app: "db" }, ip: "192.0.2.1", hostNetwork: true, node: "n2" });
  cluster.server.put(SERVICES, { metadata: { name: "api", namespace: "default" }, spec: { clusterIP: "10.96.0.7" } });
  const spec = allowing();
  Object.assign(spec.processes[0]?.network.egress ?? {}, {
    cidr4: undefined,
    pods: [{ podSelector: { matchLabels: { app: "db" } } }],
    services: [{ name: "api" }],
  });
  cluster.profile("web", JSON.parse(JSON.stringify(spec)));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("21 peers", () => peersOf(agent, "web").length === 21);
  cluster.server.remove(PODS, "default/db-3");
  cluster.pod("db-20", { labels: { app: "db" }, ip: "10.1.1.1", node: "n2" });
  await eventually("the new one", () => peersOf(agent, "web").includes("10.1.1.1"));
  assert.ok(!peersOf(agent, "web").includes("10.1.0.4"));
  assert.ok(agent.states.at(-1)?.[0]?.rulesets.every(({ baseHash }) => baseHash !== ""));
  cluster.server.put(ENDPOINT_SLICES, {
    metadata: { name: "api-1", namespace: "default", labels: { "kubernetes.io/service-name": "api" } },
    endpoints: [{ addresses: ["10.2.0.1"] }],
  });
  await eventually("an endpoint", () => peersOf(agent, "web").includes("10.2.0.1"));
});

test("a namespace that is labelled brings its pods along", async () => {
  cluster.pod("web");
  cluster.pod("db", { namespace: "other", ip: "10.9.0.1", node: "n2" });
  const spec = allowing();
  Object.assign(spec.processes[0]?.network.egress ?? {}, {
    pods: [{ namespaceSelector: { matchLabels: { team: "b" } } }],
  });
  cluster.profile("web", spec);
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("bound", () => agent.binding("web")?.policy === PolicyKind.TABLE);
  assert.deepEqual(peersOf(agent, "web"), []);
  cluster.server.put(
    { group: "", version: "v1", plural: "namespaces", kind: "Namespace", namespaced: false },
    {
      metadata: { name: "other", labels: { team: "b" } },
    },
  );
  await eventually("the pod", () => peersOf(agent, "web").join() === "10.9.0.1");
});

test("host-network pods are counted as not protected, with the reason", async () => {
  cluster.pod("web");
  cluster.pod("web-2", { labels: { app: "web" }, hostNetwork: true });
  cluster.profile("web", allowing("10.0.0.0/8"));
  cluster.agent(await cluster.operator(), "n1");
  await cluster.becomes("web", "Enforced", "False PodsUnprotected");
  const status = cluster.status("web");
  assert.deepEqual(status?.pods, { selected: 2, enforced: 1, unprotected: 1, text: "1/2" });
  const enforced = status?.conditions.find(({ type }) => type === "Enforced");
  assert.match(enforced?.message ?? "", /default\/web-2 first: .*hostNetwork: true/);
});

test("a node that refuses, and one that enforces less, are told with their words", async () => {
  cluster.pod("web", { node: "n1" });
  cluster.pod("web-2", { node: "n2", labels: { app: "web" } });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  cluster.agent(operator, "n1", { answer: () => ({ code: "PC_CAPACITY", message: "the map of peers is full" }) });
  const second = cluster.agent(operator, "n2");
  const problems = [
    {
      $typeName: "portcullis.agent.v1.Problem" as const,
      code: "PC_HOOK_MISSING",
      message: "no hook",
      reducesEnforcement: true,
    },
  ];
  await eventually("connected", () => second.states.length > 0);
  second.send({ case: "nodeProblems", value: create(NodeProblemsSchema, { problems }) });
  await cluster.becomes("web", "Enforced", "False NodesFailing");
  await eventually("both", () => cluster.status("web")?.failingNodes.length === 2, 12_000);
  assert.deepEqual(cluster.status("web")?.failingNodes, [
    { name: "n1", reason: "PC_CAPACITY", message: "the map of peers is full", pods: 1 },
    { name: "n2", reason: "PC_HOOK_MISSING", message: "no hook", pods: 1 },
  ]);
});

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

test("an agent that comes back with what it is to have is told nothing twice", async () => {
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
  agent.send({ case: "violations", value: create(ViolationsSchema, { violations }) });
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

test("an API server that is away changes nothing on the nodes, and what happened meanwhile is told after", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("held", () => agent.held.bindings.size === 1);
  await cluster.server.close();
  await new Promise((settle) => setTimeout(settle, 300));
  assert.equal(agent.ended, null);
  await cluster.server.listen();
  cluster.profile("web", allowing("11.0.0.0/8"), 2);
  cluster.server.compact();
  await eventually("the edit", () => peersOf(agent, "web").join() === "11.0.0.0", 10_000);
});

test("the search list that a pod has is the one that its names are expanded with", async () => {
  cluster.pod("web");
  const spec = allowing("10.0.0.0/8");
  Object.assign(spec.processes[0]?.network.egress ?? {}, { l7: { dns: ["db.example.com"] } });
  cluster.profile("web", spec);
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1", { searchDomains: ["node.example"] });
  const asked = () => {
    const table = agent.held.tables.get(agent.binding("web")?.tableHash ?? "");
    return JSON.stringify(table?.binaries[0]?.egress.names.map(({ text }) => text) ?? []);
  };
  await eventually("the node's", () => asked().includes("elpmaxe.edon."));
  assert.ok(asked().includes("lacol.retsulc."));
  agent.reportAll(() => ({ searchDomains: ["own.example"], searchDomainsKnown: true }));
  await eventually("its own", () => asked().includes("elpmaxe.nwo.") && !asked().includes("elpmaxe.edon."));
});

test("status is written when something changes, and not otherwise", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  cluster.agent(await cluster.operator(), "n1");
  await cluster.becomes("web", "Enforced", "True Enforced");
  const writes = () => cluster.server.requests.filter((line) => line.startsWith("PATCH")).length;
  const before = writes();
  assert.ok(before <= 2);
  await new Promise((settle) => setTimeout(settle, 6_000));
  assert.equal(writes(), before);
});

test("profiles that cannot be united keep what was there, and say why", async () => {
  cluster.pod("web");
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("held", () => peersOf(agent, "web").join() === "10.0.0.0");
  for (let index = 0; index < 64; index += 1)
    cluster.profile(`p${index}`, allowing(`11.0.0.${index}/32`), 1, { app: "web" });
  await cluster.becomes("p63", "Enforced", "False CompileFailed");
  assert.match(cluster.status("p63")?.conditions[2]?.message ?? "", /65 blocks.*stays in force/);
  assert.notEqual(agent.binding("web")?.policy, PolicyKind.UNRESTRICTED);
});
