import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { NodeProblemsSchema, PolicyKind } from "../gen/agent_pb.js";
import { eventually } from "../kube/testing/silence.ts";
import { HeldState } from "../protocol/held-state.ts";
import { ENDPOINT_SLICES, PODS, SECURITY_PROFILES, SERVICES } from "./cluster/kinds.ts";
import { allowing, peersOf, TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

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
    // A pod as Kubernetes makes it has NET_RAW.
    ["Accepted True", "Programmed True", "Enforced True", "Hardened False"],
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

test("every node learns where profiles enforce, also of pods that it has none of, and again after a reconnect", async () => {
  cluster.pod("web", { node: "n2" });
  cluster.pod("db", { node: "n1", namespace: "other" });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("it knows", () => agent.held.enforcing?.join() === "default");
  const again = cluster.agent(operator, "n1", { held: new HeldState(agent.held.bindings, agent.held.tables) });
  await eventually("it knows again", () => again.held.enforcing?.join() === "default");
  cluster.profile("web", { ...allowing("10.0.0.0/8"), actions: ["alert"] }, 2);
  await eventually("none enforces", () => again.held.enforcing?.length === 0);
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

test("the resolver as a peer is the cluster's DNS Service, as it moves", async () => {
  cluster.pod("web");
  const dns = (clusterIP: string) =>
    cluster.server.put(SERVICES, { metadata: { name: "kube-dns", namespace: "kube-system" }, spec: { clusterIP } });
  dns("10.96.0.10");
  const spec = allowing();
  Object.assign(spec.processes[0]?.network.egress ?? {}, { cidr4: undefined, peers: ["resolver"] });
  cluster.profile("web", JSON.parse(JSON.stringify(spec)));
  const operator = await cluster.operator();
  const agent = cluster.agent(operator, "n1");
  await eventually("its address", () => peersOf(agent, "web").join() === "10.96.0.10");
  dns("10.96.0.11");
  await eventually("the other address", () => peersOf(agent, "web").join() === "10.96.0.11");
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
  // That is so before the other pod's agent has said anything.
  await eventually("the other pod is protected", () => cluster.status("web")?.pods.enforced === 1, 20_000);
  const status = cluster.status("web");
  assert.deepEqual(status?.pods, { selected: 2, enforced: 1, unprotected: 1, text: "1/2" });
  const enforced = status?.conditions.find(({ type }) => type === "Enforced");
  assert.match(enforced?.message ?? "", /default\/web-2 first: .*hostNetwork: true/);
});

test("a node that refuses, and one that enforces less, are reported with their words", async () => {
  cluster.pod("web", { node: "n1" });
  cluster.pod("web-2", { node: "n2", labels: { app: "web" } });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const operator = await cluster.operator();
  cluster.agent(operator, "n1", { answer: () => ({ code: "PC_CAPACITY", message: "the map of peers is full" }) });
  const second = cluster.agent(operator, "n2");
  const problems = [
    {
      $typeName: "portcullis.agent.v1.Problem" as const,
      code: "PC_MAP_FULL",
      message: "no room",
      reducesEnforcement: true,
    },
  ];
  await eventually("connected", () => second.states.length > 0);
  second.send({ case: "nodeProblems", value: create(NodeProblemsSchema, { problems }) });
  await cluster.becomes("web", "Enforced", "False NodesFailing");
  await eventually("both", () => cluster.status("web")?.failingNodes.length === 2, 12_000);
  assert.deepEqual(cluster.status("web")?.failingNodes, [
    { name: "n1", reason: "PC_CAPACITY", message: "the map of peers is full", pods: 1 },
    { name: "n2", reason: "PC_MAP_FULL", message: "no room", pods: 1 },
  ]);
});

test("what a node's kernel cannot do is reported, and is no failure of the profile", async () => {
  cluster.pod("web", { node: "n1" });
  cluster.profile("web", allowing("10.0.0.0/8"));
  const agent = cluster.agent(await cluster.operator(), "n1");
  const problem = { $typeName: "portcullis.agent.v1.Problem" as const, code: "PC_HOOK_MISSING", message: "no hook" };
  await eventually("connected", () => agent.states.length > 0);
  agent.send({
    case: "nodeProblems",
    value: create(NodeProblemsSchema, { problems: [{ ...problem, reducesEnforcement: false }] }),
  });
  await cluster.becomes("web", "Enforced", "True EnforcedWithLimits");
  const status = cluster.status("web");
  const { message } = status?.conditions.find(({ type }) => type === "Enforced") ?? assert.fail();
  assert.equal(message, "in force on 1 of 1 pods; node n1: PC_HOOK_MISSING: no hook");
  assert.deepEqual(status?.failingNodes, []);
  assert.equal(status?.nodes.text, "1/1");
});

test("an API server that is away changes nothing on the nodes, and what happened meanwhile is reported after", async () => {
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

test("without the definition of profiles an operator says what to do", async () => {
  const fresh = await TestCluster.start();
  fresh.server.fail(/securityprofiles/, 404, 1_000);
  const times = { leaseDuration: 15_000, renewDeadline: 10_000, retryPeriod: 2_000 };
  const waiting = await fresh.operator({ namespace: "default", leaseName: "none", ...times });
  const words = /not read yet: securityprofiles: .* 404 .*; install the definition/;
  await eventually("words", () => words.test(waiting.problems[0] ?? "")).finally(() => fresh.close());
});
