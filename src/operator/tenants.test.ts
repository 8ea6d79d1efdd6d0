/**
 * What one namespace does to the operator is no other's affair: under each load the operator's main thread stays free, agents stay
 * connected, and another namespace's edit is in force within a second. The operator is a program of its own, with its container's memory.
 */
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { SecurityProfileSpec } from "../api/types.ts";
import { eventually } from "../kube/testing/silence.ts";
import { PODS, SECURITY_PROFILES } from "./kinds.ts";
import type { TestAgent } from "./testing/agent.ts";
import { TestCluster } from "./testing/cluster.ts";
import { OperatorProcess } from "./testing/operator-process.ts";
import { profileObject } from "./testing/stored-profile.ts";

const PATIENCE = Number(process.env.PORTCULLIS_TEST_PATIENCE ?? 1);
/**
 * How late 99 of 100 turns of the event loop, and another namespace's edit, may be. A quiet machine shows some 40 ms and less than a
 * second, which is printed; on a busy one only what is far beyond it is a fault: without a thread of their own it is seconds.
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

const honest = (octet: number): SecurityProfileSpec => ({
  actions: ["enforce"],
  default: { egress: { cidr4: [`198.51.${octet}.0/24`] } },
});

/** Puts a profile of the namespace `tenant` in. */
function tenant(name: string, spec: object, generation = 1): void {
  cluster.server.put(SECURITY_PROFILES, profileObject(spec, { name, namespace: "tenant", uid: name, generation }));
}

function prefixes(count: number, first = 10): string[] {
  return Array.from({ length: count }, (_, i) => `${first + (i >> 14)}.${(i >> 6) & 255}.${(i & 63) * 4}.0/24`);
}

/** About this many bytes of profile. */
function large(bytes: number): object {
  const processes = Array.from({ length: 100 }, (_, index) => ({
    path: `/bin/${index}`,
    network: { egress: { cidr4: prefixes(Math.floor(bytes / 100 / 17)), l4: { protocols: ["tcp"] } } },
  }));
  return { labelSelector: { matchLabels: { nobody: "has-this" } }, processes };
}

async function begin(): Promise<TestAgent> {
  cluster = await TestCluster.start();
  ending = new AbortController();
  cluster.pod("web");
  cluster.profile("web", honest(1));
  operator = await OperatorProcess.start(cluster, ...ELECTION);
  const agent = operator.agent("n1");
  await eventually("the first", () => peerOf(agent) === "198.51.1.0");
  return agent;
}

function peerOf(agent: TestAgent): string {
  const table = agent.held.tables.get(agent.binding("web")?.tableHash ?? "");
  return table?.default?.egress.peers4[0]?.address ?? "";
}

/** Edits the honest profile again and again while the load lasts. Returns how long the slowest took, and the main thread's delay. */
async function hold(agent: TestAgent, load: () => Promise<void>): Promise<{ slowest: number; delay: number }> {
  await operator.eventLoopDelay();
  const loaded = load();
  const end = Date.now() + LOAD_MS;
  let slowest = 0;
  for (let octet = 2; Date.now() < end; octet += 1) {
    const start = performance.now();
    cluster.profile("web", honest(octet), octet);
    const isThere = () => peerOf(agent) === `198.51.${octet}.0` || operator.hasEnded;
    await eventually(`edit ${octet}`, isThere, 20_000).catch((cause: unknown) => {
      throw new Error(`an edit is not in force; the operator said: ${operator.output.slice(-2_000)}`, { cause });
    });
    assert.ok(!operator.hasEnded, `the operator has ended: ${operator.output.slice(-2_000)}`);
    slowest = Math.max(slowest, performance.now() - start);
    await wait(200);
  }
  const delay = await operator.eventLoopDelay();
  ending.abort();
  await loaded;
  return { slowest, delay };
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((settle) => setTimeout(settle, milliseconds));
}

function judge(agent: TestAgent, { slowest, delay }: { slowest: number; delay: number }): void {
  console.log(`event loop p99 ${delay.toFixed(1)} ms, slowest edit of another namespace ${slowest.toFixed(0)} ms`);
  assert.equal(agent.ended, null, "the agent was cut off");
  assert.ok(delay < DELAY_MS, `the event loop was late by ${delay} ms`);
  assert.ok(slowest < IN_FORCE_MS, `an edit of another namespace took ${slowest} ms`);
}

async function refusedProfiles(): Promise<number> {
  return (await operator.metric('portcullis_operator_profiles{accepted="over_budget"}')) ?? 0;
}

test("ninety profiles of 1.28 MB that select nothing", async () => {
  const agent = await begin();
  const spec = large(1_280_000);
  const measured = await hold(agent, async () => {
    for (let index = 0; index < 90; index += 1) {
      tenant(`large-${index}`, spec);
      await wait(60);
    }
  });
  judge(agent, measured);
  // A busy machine has not looked at all of them yet.
  for (let turn = 0; turn < 200 && (await refusedProfiles()) <= 50; turn += 1) await wait(100);
  const refused = await refusedProfiles();
  assert.ok(refused > 50, `${refused} are over the budget`);
});

test("an operator that starts beside ninety of them", async () => {
  const agent = await begin();
  const spec = large(1_280_000);
  for (let index = 0; index < 90; index += 1) tenant(`large-${index}`, spec);
  await operator.stop();
  operator = await OperatorProcess.start(cluster, ...ELECTION);
  const second = operator.agent("n1");
  await eventually("bound", () => peerOf(second) === "198.51.1.0", 10_000);
  assert.ok(agent.ended !== null);
  judge(second, await hold(second, async () => {}));
});

test("two profiles of 40,000 prefixes that are edited every second", async () => {
  const agent = await begin();
  cluster.pod("victim", { namespace: "tenant", labels: { app: "web" }, node: "n2" });
  // It takes what it is sent, and its time: what it does with it costs this process, which is the API server too.
  const other = operator.agent("n2", { answer: () => null });
  const specs = [10, 60].map((first) => {
    const all = prefixes(40_000, first);
    const cidr4 = (index: number) => all.slice(index * 400, (index + 1) * 400);
    return {
      processes: Array.from({ length: 100 }, (_, index) => ({
        path: `/bin/${index}`,
        network: { egress: { cidr4: cidr4(index) } },
      })),
    };
  });
  const measured = await hold(agent, async () => {
    for (let generation = 1; !ending.signal.aborted; generation += 1) {
      for (const name of ["one", "two"]) tenant(name, specs[generation % 2] as object, generation);
      await wait(1_000);
    }
  });
  judge(agent, measured);
  assert.equal(other.ended, null);
  const compiled = await operator.metric('portcullis_operator_compiles_total{result="ok"}');
  assert.ok((compiled ?? 0) > LOAD_MS / 2_000, `${compiled} tables were compiled`);
});

test("three hundred profiles with 64 selectors each on the same pods, whose labels change all the time", async () => {
  const agent = await begin();
  const pods = Array.from({ length: 20 }, (_, index) => `p${index}`);
  const label = (name: string, turn: number) =>
    cluster.pod(name, {
      namespace: "tenant",
      labels: { app: "web", turn: String(turn % 64) },
      ip: `10.200.0.${pods.indexOf(name) + 1}`,
      node: "n2",
    });
  for (const name of pods) label(name, 0);
  operator.agent("n2", { answer: () => null });
  const measured = await hold(agent, async () => {
    for (let index = 0; index < 300 && !ending.signal.aborted; index += 1) {
      const selectors = Array.from({ length: 64 }, (_, turn) => ({
        podSelector: { matchExpressions: [{ key: "turn", operator: "NotIn", values: [String(turn), `x${index}`] }] },
      }));
      const network = { egress: { pods: selectors.slice(0, 32) }, ingress: { pods: selectors.slice(32) } };
      tenant(`p${index}`, { processes: [{ path: `/bin/p${index}`, network }] });
      if (index % 10 === 0) await wait(10);
    }
    for (let turn = 0; !ending.signal.aborted; turn += 1) {
      label(pods[turn % pods.length] as string, turn);
      await wait(20);
    }
  });
  judge(agent, measured);
  assert.ok(cluster.server.list(PODS).length > 20);
});
