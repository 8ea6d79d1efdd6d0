/**
 * What one namespace does to the operator is no other's affair: under each load the operator's main thread stays free, agents stay
 * connected, and another namespace's edit is in force within a second. The operator is a program of its own, with its container's memory.
 */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { eventually } from "../kube/testing/silence.ts";
import { PODS, SECURITY_PROFILES } from "./cluster/kinds.ts";
import type { ProfileStatus } from "./profiles/profile-status.ts";
import type { TestAgent } from "./testing/agent.ts";
import { TestCluster } from "./testing/cluster.ts";
import { HonestNamespace } from "./testing/honest-namespace.ts";
import { OperatorProcess } from "./testing/operator-process.ts";
import {
  editedPrefixes,
  LARGE_PROFILES,
  type Load,
  largeProfiles,
  manySelectors,
  multipliedRules,
  OWN_TABLES,
  ownTables,
} from "./testing/tenant-loads.ts";

const PATIENCE = Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);
/**
 * How late 99 of 100 turns of the event loop, and another namespace's edit, may be. A quiet machine shows some 40 ms and less than a
 * second, which `make bench-plane` measures; on a busy one only what is far beyond it is a fault: without a thread of their own it is seconds.
 */
const DELAY_MS = 250 * PATIENCE;
const IN_FORCE_MS = 5_000 * PATIENCE;
const LOAD_MS = 6_000;
/** A Lease that does not forgive much. */
const ELECTION = ["--lease-duration=4s", "--renew-deadline=3s", "--retry-period=500ms"];

let cluster: TestCluster;
let operator: OperatorProcess;
let ending: AbortController;

afterEach(async () => {
  ending?.abort();
  await operator?.stop();
  await cluster?.close();
});

async function begin(): Promise<HonestNamespace> {
  cluster = await TestCluster.start();
  ending = new AbortController();
  HonestNamespace.prepare(cluster);
  operator = await OperatorProcess.start(cluster, ...ELECTION);
  return await HonestNamespace.begin(cluster, operator);
}

/** Edits the honest profile again and again while the load lasts, and judges what that is like. */
async function holds(honest: HonestNamespace, load: Load): Promise<void> {
  await operator.eventLoopDelay();
  const loaded = load(cluster, ending.signal);
  const end = Date.now() + LOAD_MS;
  let slowest = 0;
  while (Date.now() < end) {
    slowest = Math.max(slowest, await honest.edit());
    await wait(200);
  }
  const delay = await operator.eventLoopDelay();
  ending.abort();
  await loaded;
  console.log(`event loop p99 ${delay.toFixed(1)} ms, slowest edit of another namespace ${slowest.toFixed(0)} ms`);
  assert.equal(honest.agent.ended, null, "the agent was cut off");
  assert.ok(delay < DELAY_MS, `the event loop was late by ${delay} ms`);
  assert.ok(slowest < IN_FORCE_MS, `an edit of another namespace took ${slowest} ms`);
}

/** It takes what it is sent, and its time: what it does with it costs this process, which is the API server too. */
const slowAgent = (): TestAgent => operator.agent("n2", { answer: () => null });

const OWN = Array.from({ length: OWN_TABLES }, (_, index) => `own-${index}`);

/** Status and reason of a tenant's profile's condition. */
function programmed(name: string): string | undefined {
  const { conditions = [] } = (cluster.server.get(SECURITY_PROFILES, `tenant/${name}`)?.status ??
    {}) as Partial<ProfileStatus>;
  const condition = conditions.find(({ type }) => type === "Programmed");
  return condition && `${condition.status} ${condition.reason}`;
}

async function refusedProfiles(): Promise<number> {
  return (await operator.metric('portcullis_operator_profiles{accepted="over_budget"}')) ?? 0;
}

test("ninety profiles of 1.28 MB that select nothing", async () => {
  await holds(await begin(), largeProfiles);
  // A busy machine has not looked at all of them yet.
  for (let turn = 0; turn < 200 && (await refusedProfiles()) <= 50; turn += 1) await wait(100);
  const refused = await refusedProfiles();
  assert.ok(refused > 50 && refused < LARGE_PROFILES, `${refused} are over the budget`);
});

test("an operator that starts beside ninety of them", async () => {
  const { agent } = await begin();
  await largeProfiles(cluster, ending.signal);
  await operator.stop();
  operator = await OperatorProcess.start(cluster, ...ELECTION);
  const honest = await HonestNamespace.begin(cluster, operator);
  assert.ok(agent.ended !== null);
  await holds(honest, async () => {});
});

test("two profiles of 40,000 prefixes that are edited every second", async () => {
  const honest = await begin();
  const other = slowAgent();
  await holds(honest, editedPrefixes);
  assert.equal(other.ended, null);
  const compiled = await operator.metric('portcullis_operator_compiles_total{result="ok"}');
  assert.ok((compiled ?? 0) > LOAD_MS / 2_000, `${compiled} tables were compiled`);
});

test("a profile that would be compiled to millions of rules, and names that have to be compared with each other", async () => {
  const honest = await begin();
  const other = slowAgent();
  await holds(honest, multipliedRules);
  assert.equal(other.ended, null);
  const refused = await operator.metric('portcullis_operator_compiles_total{result="error"}');
  assert.ok((refused ?? 0) > 0, `${refused} tables were refused`);
});

test("pods with large tables of their own: what is too much for the operator's memory is refused, and taken once there is room", async () => {
  const honest = await begin();
  slowAgent();
  await holds(honest, ownTables);
  const refused = () => OWN.filter((name) => programmed(name) === "False CompileFailed");
  await eventually("tables without room", () => refused().length > OWN_TABLES / 10, IN_FORCE_MS * 20);
  const waiting = refused();
  const taken = OWN.filter((name) => !waiting.includes(name));
  assert.ok(taken.length > OWN_TABLES / 3, `${taken.length} of them are taken`);
  for (const name of taken) cluster.server.remove(PODS, `tenant/${name}`);
  await eventually("room for one that waited", () => refused().length < waiting.length, IN_FORCE_MS * 20);
});

test("three hundred profiles with 64 selectors each on the same pods, whose labels change all the time", async () => {
  const honest = await begin();
  slowAgent();
  await holds(honest, manySelectors);
  assert.ok(cluster.server.list(PODS).length > 20);
});
