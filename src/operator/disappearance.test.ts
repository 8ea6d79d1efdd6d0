/** Profiles that disappear by mistake stay in force; one or a few that somebody deletes do not. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { API_VERSION, KIND } from "../api/types.ts";
import { PolicyKind } from "../gen/agent_pb.js";
import { EVENTS } from "../kube/resources.ts";
import { eventually } from "../kube/testing/silence.ts";
import { DEFINITION, DEFINITIONS, SECURITY_PROFILES } from "./cluster/kinds.ts";
import type { Operator } from "./operator.ts";
import type { TestAgent } from "./testing/agent.ts";
import { TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster;
let operator: Operator;
let agent: TestAgent;

beforeEach(async () => {
  cluster = await TestCluster.start();
});
afterEach(() => cluster.close());

const spec = { actions: ["enforce" as const], default: { egress: { cidr4: ["192.0.2.0/24"] } } };

async function begin(profiles: number): Promise<void> {
  for (let index = 0; index < profiles; index += 1) {
    cluster.pod(`p${index}`);
    cluster.profile(`p${index}`, spec);
  }
  operator = await cluster.operator();
  agent = cluster.agent(operator, "n1");
  await eventually("all are in force", () => inForce() >= profiles, 20_000);
}

function inForce(): number {
  return [...agent.held.bindings.values()].filter(({ policy }) => policy === PolicyKind.TABLE).length;
}

function remove(profiles: number, first = 0): void {
  for (let index = first; index < first + profiles; index += 1) {
    cluster.server.remove(SECURITY_PROFILES, `default/p${index}`);
  }
}

/** Long enough for what must not happen. */
const settled = () => new Promise((settle) => setTimeout(settle, 600));

test("a definition that is deleted takes nothing out of force, which is said, and all is well when it is back", async () => {
  await begin(3);
  cluster.server.put(DEFINITIONS, { metadata: { name: DEFINITION, deletionTimestamp: "2026-01-01T00:00:00Z" } });
  remove(3);
  cluster.server.remove(DEFINITIONS, DEFINITION);
  await eventually("held", () => operator.deletions?.held.size === 3);
  await settled();
  assert.equal(inForce(), 3);
  const events = () => cluster.server.list(EVENTS).filter(({ reason }) => reason === "ProfilesHeld");
  await eventually("an event on the namespace", () => events().length > 0);
  assert.match(JSON.stringify(events()[0]?.regarding), /"kind":"Namespace"/);
  cluster.server.put(DEFINITIONS, { metadata: { name: DEFINITION } });
  for (let index = 0; index < 3; index += 1) cluster.profile(`p${index}`, spec);
  await eventually("none is held", () => operator.deletions?.held.size === 0);
  await settled();
  assert.equal(inForce(), 3);
  remove(1);
  await eventually("an honest deletion", () => inForce() === 2);
});

test("one profile that is deleted goes at once, and so do a few", async () => {
  await begin(4);
  remove(1);
  await eventually("one", () => inForce() === 3);
  remove(3, 1);
  await eventually("all of a few", () => inForce() === 0);
});

function manifest(namespace: string, name: string) {
  const metadata = { name, namespace, labels: { app: name }, generation: 1 };
  return { apiVersion: API_VERSION, kind: KIND, metadata, spec };
}

test("profiles of one namespace that come and go by the dozen hold nobody else's", async () => {
  await begin(3);
  const names = Array.from({ length: 30 }, (_, index) => `q${index}`);
  for (const name of names) cluster.server.put(SECURITY_PROFILES, manifest("other", name));
  await eventually("all are known", () => operator.plan.profiles.size === 33);
  for (const name of names) cluster.server.remove(SECURITY_PROFILES, `other/${name}`);
  await eventually("half of them are held", () => (operator.deletions?.held.size ?? 0) >= 13);
  remove(1);
  await eventually("an honest deletion goes", () => inForce() === 2);
});

test("most profiles of many namespaces cannot be lost within a minute, though each has few", async () => {
  await begin(4);
  const names = ["a", "b", "c"].flatMap((namespace) => [0, 1, 2, 3].map((index) => ({ namespace, name: `q${index}` })));
  for (const { namespace, name } of names) cluster.server.put(SECURITY_PROFILES, manifest(namespace, name));
  await eventually("all are known", () => operator.plan.profiles.size === 16);
  for (const { namespace, name } of names) cluster.server.remove(SECURITY_PROFILES, `${namespace}/${name}`);
  remove(4);
  await eventually("the last are held", () => (operator.deletions?.held.size ?? 0) >= 4);
  await settled();
  assert.equal(operator.plan.profiles.size, operator.deletions?.held.size);
});

test("a profile that is held keeps no other profile of the same pods from being put in force", async () => {
  cluster.pod("web");
  cluster.profile("web", spec);
  cluster.profile("gone", spec, 1, { app: "web" });
  await begin(30);
  remove(30);
  await eventually("some are held", () => (operator.deletions?.held.size ?? 0) > 0);
  cluster.server.remove(SECURITY_PROFILES, "default/gone");
  await eventually("and this one", () => operator.deletions?.held.has("default/gone") === true);
  const before = agent.binding("web")?.tableHash;
  cluster.profile("web", { ...spec, default: { egress: { cidr4: ["198.51.100.0/24"] } } }, 2);
  await eventually("the edit is in force", () => agent.binding("web")?.tableHash !== before);
  const table = agent.held.tables.get(agent.binding("web")?.tableHash ?? "");
  assert.deepEqual(table?.profiles, ["default/gone", "default/web"]);
});

test("of many profiles most cannot be lost within a minute", async () => {
  await begin(24);
  remove(24);
  await eventually("held", () => (operator.deletions?.held.size ?? 0) >= 12);
  await settled();
  assert.ok(inForce() >= 12, `${inForce()} are in force`);
  // Deleted for a reason: a new start goes by what is there.
  const next = await cluster.operator(null, "next");
  const second = cluster.agent(next, "n1");
  await eventually("known", () => second.held.bindings.size === 24);
  assert.ok([...second.held.bindings.values()].every(({ policy }) => policy === PolicyKind.UNRESTRICTED));
});
