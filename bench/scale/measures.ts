/** What is measured once everything is there. */
import { setTimeout as wait } from "node:timers/promises";
import { quantile } from "../statistics.ts";
import type { AgentFleet } from "./agents/agent-fleet.ts";
import { moment } from "./agents/agent-messages.ts";
import { apiRequests, operatorWrites, requestsBetween } from "./api-requests.ts";
import type { ControlPlane } from "./control-plane.ts";
import { nodeName, SPREAD_NUMBER, type SpreadProfile, spec } from "./layout.ts";
import type { OperatorProcess } from "./operator-process.ts";
import { profilesPath } from "./population.ts";
import type { ChangeResult, EditResult, QuietResult, RestartResult } from "./results.ts";

export interface Bed {
  plane: ControlPlane;
  operator: OperatorProcess;
  agents: AgentFleet;
  uids: ReadonlyMap<string, string>;
}

/** An edit has come to all agents by then, or never will. */
const EDIT_MS = 60_000;
/** Between two edits, so that no edit finds the one before under way. */
const PAUSE_MS = 150;
/** Statuses are written at most this often, and a moment after. */
const STATUS_MS = 6_500;
const CONNECT_MS = 180_000;
/** Metrics are rendered at most once a second: after this long they have all that was before. */
const RENDERED_MS = 1_100;

let edits = 0;

/** Waits until every profile has the status that follows from a start. */
export async function whenSettled({ operator }: Bed): Promise<void> {
  const writes = async () => total(await operator.metrics(), "portcullis_operator_status_writes_total");
  for (let before = -1, now = await writes(); before !== now; now = await writes()) {
    before = now;
    await wait(STATUS_MS);
  }
}

/** One edit. Returns the moments, in milliseconds after it was asked for, at which the agents concerned had acknowledged it. */
async function edit({ plane, agents, uids }: Bed, profile: SpreadProfile): Promise<number[]> {
  edits += 1;
  const { namespace, name, nodes } = profile;
  const pods = Array.from({ length: nodes }, (_, node): [string, string] => [
    nodeName(node),
    uids.get(`${namespace}/${name}-${node}`) ?? "",
  ]);
  const { changed } = await agents.expect(pods, EDIT_MS);
  const start = moment();
  // A failure of either is reported; the other is not left without anybody to hear of it.
  const [moments] = await Promise.all([
    changed,
    plane.api.patch(`${profilesPath(namespace)}/${name}`, { spec: spec(name, SPREAD_NUMBER, edits) }),
  ]);
  return moments.map((at) => at - start);
}

/** Edits one after the other. */
export async function measureEdits(bed: Bed, profile: SpreadProfile, rounds: number): Promise<EditResult> {
  for (let round = 0; round < 3; round += 1) await edit(bed, profile);
  const { operator } = bed;
  await wait(RENDERED_MS);
  const before = { sent: sent(await operator.metrics()), cpu: cpuOf(bed), at: performance.now() };
  const slowest: number[] = [];
  const each: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const moments = await edit(bed, profile);
    slowest.push(Math.max(...moments));
    each.push(...moments);
    await wait(PAUSE_MS);
  }
  const [cpu, seconds] = [cpuOf(bed), (performance.now() - before.at) / 1000];
  await wait(RENDERED_MS);
  const after = { sent: sent(await operator.metrics()), cpu };
  const per = (from: number, to: number) => (to - from) / rounds;
  return {
    nodes: profile.nodes,
    rounds,
    all: { p50: quantile(slowest, 0.5), p99: quantile(slowest, 0.99), max: Math.max(...slowest) },
    agent: { p50: quantile(each, 0.5), p99: quantile(each, 0.99) },
    revisions: per(before.sent.revisions, after.sent.revisions),
    bytes: per(before.sent.bytes, after.sent.bytes),
    cpuSeconds: {
      operator: per(before.cpu.operator, after.cpu.operator),
      agents: per(before.cpu.agents, after.cpu.agents),
      apiServer: per(before.cpu.apiServer, after.cpu.apiServer),
    },
    seconds,
    memory: operator.process.memory().now,
  };
}

/** Edits far enough from each other that each has its own status: what does one cost the API server? */
export async function measureChange(bed: Bed, profile: SpreadProfile, count: number): Promise<ChangeResult> {
  await wait(STATUS_MS);
  const before = await apiRequests(bed.plane.api);
  const cpu = bed.operator.process.cpuSeconds();
  for (let round = 0; round < count; round += 1) {
    await edit(bed, profile);
    await wait(STATUS_MS);
  }
  const requests = requestsBetween(before, await apiRequests(bed.plane.api));
  return {
    nodes: profile.nodes,
    edits: count,
    writes: operatorWrites(requests) / count,
    cpuSeconds: (bed.operator.process.cpuSeconds() - cpu) / count,
    requests,
  };
}

/** Nothing changes, with or without packets on the nodes. */
export async function measureQuiet(bed: Bed, seconds: number, traffic: boolean): Promise<QuietResult> {
  const { operator, agents, plane } = bed;
  agents.traffic(traffic);
  await wait(STATUS_MS);
  const requests = await apiRequests(plane.api);
  const start = { at: performance.now(), cpu: operator.process.cpuSeconds() };
  await wait(seconds * 1000);
  const passed = (performance.now() - start.at) / 1000;
  const cpuShare = (operator.process.cpuSeconds() - start.cpu) / passed;
  const between = requestsBetween(requests, await apiRequests(plane.api));
  agents.traffic(false);
  return {
    traffic,
    cpuShare,
    writesPerSecond: operatorWrites(between) / passed,
    memory: operator.process.memory().now,
  };
}

/** The operator ends as in a rolling update, and starts again. */
export async function measureRestart(bed: Bed): Promise<RestartResult> {
  const { operator, agents } = bed;
  const { all } = await agents.expectAll(CONNECT_MS);
  await operator.stop();
  const start = moment();
  const plannedSeconds = await operator.start();
  const news = await all;
  const since = (moments: number[]) => moments.map((at) => (at - start) / 1000);
  const connected = since(news.flatMap((one) => one.connected));
  const taken = since(news.flatMap((one) => one.taken));
  const lost = news.flatMap((one) => one.lost);
  const away = news.flatMap((one) => one.connected).map((at, index) => (at - (lost[index] ?? 0)) / 1000);
  return {
    plannedSeconds,
    firstConnectedSeconds: Math.min(...connected),
    allConnectedSeconds: Math.max(...connected),
    allTakenSeconds: Math.max(...taken),
    awaySeconds: { p50: quantile(away, 0.5), p99: quantile(away, 0.99) },
    cpuSeconds: operator.process.cpuSeconds(),
    memory: operator.process.memory(),
  };
}

function cpuOf({ operator, agents, plane }: Bed) {
  return {
    operator: operator.process.cpuSeconds(),
    agents: agents.cpuSeconds(),
    apiServer: plane.apiServer.cpuSeconds(),
  };
}

function sent(metrics: ReadonlyMap<string, number>): { revisions: number; bytes: number } {
  return {
    revisions: total(metrics, "portcullis_operator_revisions_sent_total"),
    bytes: total(metrics, "portcullis_operator_sent_bytes_total"),
  };
}

/** Over all labels. */
function total(metrics: ReadonlyMap<string, number>, name: string): number {
  return [...metrics].filter(([key]) => key.startsWith(name)).reduce((sum, [, value]) => sum + value, 0);
}
