/** One load on one operator: the same operator is measured without it first. */
import { setTimeout as wait } from "node:timers/promises";
import type { TestAgent } from "../../src/operator/testing/agent.ts";
import { TestCluster } from "../../src/operator/testing/cluster.ts";
import { HonestNamespace } from "../../src/operator/testing/honest-namespace.ts";
import { OperatorProcess } from "../../src/operator/testing/operator-process.ts";
import { quantile } from "../statistics.ts";
import type { PlaneLoad } from "./loads.ts";

export interface Measured {
  /** Milliseconds: 99 of 100 turns of the main thread's event loop were this late at most. */
  delay: number;
  /** Milliseconds until an edit of another namespace is on its node. */
  edit: { p50: number; worst: number };
  edits: number;
}

export interface PlaneResult {
  load: PlaneLoad;
  unloaded: Measured;
  loaded: Measured;
  agents: number;
  /** Agents that were cut off. */
  cutOff: number;
}

/** Of other nodes than the one that edits are measured on; `n2` has the tenant's pods. */
const OTHER_AGENTS = 20;
const BETWEEN_EDITS_MS = 200;
/** What the start has left to do is done by then. */
const SETTLE_MS = 3_000;

/** @param seconds for each half */
export async function measure(load: PlaneLoad, seconds: number): Promise<PlaneResult> {
  const cluster = await TestCluster.start();
  HonestNamespace.prepare(cluster);
  const operator = await OperatorProcess.start(cluster);
  const ending = new AbortController();
  try {
    const honest = await HonestNamespace.begin(cluster, operator);
    const others = Array.from({ length: OTHER_AGENTS }, (_, index) =>
      // They take what they are sent, and no time of this process, which is the API server too.
      operator.agent(`n${index + 2}`, { answer: () => null }),
    );
    const agents: TestAgent[] = [honest.agent, ...others];
    await wait(SETTLE_MS);
    const unloaded = await watch(operator, honest, seconds);
    const loading = load.run(cluster, operator, ending.signal);
    const loaded = await watch(operator, honest, seconds);
    ending.abort();
    await loading;
    const cutOff = agents.filter(({ ended }) => ended !== null).length;
    return { load, unloaded, loaded, agents: agents.length, cutOff };
  } finally {
    ending.abort();
    await operator.stop();
    await cluster.close();
  }
}

async function watch(operator: OperatorProcess, honest: HonestNamespace, seconds: number): Promise<Measured> {
  await operator.eventLoopDelay();
  const times: number[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    times.push(await honest.edit());
    await wait(BETWEEN_EDITS_MS);
  }
  const delay = await operator.eventLoopDelay();
  return { delay, edit: { p50: quantile(times, 0.5), worst: Math.max(...times) }, edits: times.length };
}
