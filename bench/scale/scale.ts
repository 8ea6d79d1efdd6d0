/**
 * `make bench-scale`: a real API server and etcd, the real operator as a process of its own, and simulated agents. Whatever way it
 * ends, nothing stays behind: its processes are ended by the kernel with it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { causeText, UsageError } from "../../src/api/errors.ts";
import { kubernetesPrograms } from "../../test/cluster/harness/kubernetes/binaries.ts";
import { AgentFleet } from "./agents/agent-fleet.ts";
import { ControlPlane } from "./control-plane.ts";
import { scaleText, writeScaleSection } from "./document.ts";
import { provideEtcd } from "./etcd.ts";
import { nodeName, spreadProfiles } from "./layout.ts";
import { type Bed, measureChange, measureEdits, measureQuiet, measureRestart, whenSettled } from "./measures.ts";
import { OperatorProcess } from "./operator-process.ts";
import { parseScaleOptions, type ScaleOptions, USAGE } from "./options.ts";
import { type Population, populate } from "./population.ts";
import type { FirstStartResult, ScaleResult } from "./results.ts";

const INTERRUPTED = 130;
const FIRST_MS = 300_000;
const QUIET_SECONDS = 20;
const CHANGES = 2;
const LOG_END = 2_000;

/** What is running, to be ended in this order. */
const running: { end(): Promise<void> }[] = [];

function say(line: string): void {
  process.stderr.write(`${(performance.now() / 1000).toFixed(0).padStart(5)} s  ${line}\n`);
}

async function run(folder: string, { size, rounds }: ScaleOptions): Promise<ScaleResult> {
  const programs = { etcd: provideEtcd(say), kubernetes: kubernetesPrograms(say) };
  say("etcd and the API server start");
  const plane = await ControlPlane.start(folder, programs);
  running.unshift(plane);
  const start = performance.now();
  const population = await populate(plane, size, folder, say);
  const populateSeconds = (performance.now() - start) / 1000;
  const operator = await OperatorProcess.prepare(folder, plane);
  running.unshift({ end: () => operator.stop() });
  const agents = new AgentFleet(folder);
  running.unshift(agents);
  const bed = { plane, operator, agents, uids: population.uids };
  const first = await firstStart(bed, population);
  const measured = await measureAll(bed, size, rounds);
  return {
    size,
    time: new Date().toISOString(),
    populateSeconds,
    first,
    ...measured,
    apiServerMemory: plane.apiServer.memory().now,
    load: loadavg()[1] ?? 0,
    cpus: cpus().length,
  };
}

async function firstStart({ plane, operator, agents }: Bed, { tokenFiles }: Population): Promise<FirstStartResult> {
  say("the operator starts");
  const plannedSeconds = await operator.start();
  const plannedMemory = operator.process.memory().now;
  say(`planned after ${plannedSeconds.toFixed(1)} s; the agents start`);
  const { all } = await agents.expectAll(FIRST_MS);
  const start = performance.now();
  const places = tokenFiles.map((tokenFile, node) => ({ node: nodeName(node), tokenFile }));
  agents.start(operator.target, plane.authority.path("ca.crt"), places);
  await all;
  const allTakenSeconds = (performance.now() - start) / 1000;
  say(`all agents hold their state after ${allTakenSeconds.toFixed(1)} s`);
  const { process } = operator;
  return { plannedSeconds, allTakenSeconds, cpuSeconds: process.cpuSeconds(), plannedMemory, memory: process.memory() };
}

async function measureAll(bed: Bed, size: ScaleOptions["size"], rounds: number) {
  const spreads = spreadProfiles(size);
  say("statuses are written");
  await whenSettled(bed);
  say("quiet");
  const quiet = [await measureQuiet(bed, QUIET_SECONDS, false)];
  const edits: ScaleResult["edits"] = [];
  for (const profile of spreads) {
    say(`edits of a profile on ${profile.nodes} nodes`);
    const result = await measureEdits(bed, profile, rounds);
    say(`p50 ${result.all.p50.toFixed(0)} ms, p99 ${result.all.p99.toFixed(0)} ms`);
    edits.push(result);
  }
  const changes: ScaleResult["changes"] = [];
  for (const profile of spreads) {
    say(`single edits of a profile on ${profile.nodes} nodes`);
    changes.push(await measureChange(bed, profile, CHANGES));
  }
  say("packets on every node");
  quiet.push(await measureQuiet(bed, QUIET_SECONDS, true));
  const { peak } = bed.operator.process.memory();
  say("the operator starts again");
  const restart = await measureRestart(bed);
  return { quiet, edits, changes, restart, peakMemory: Math.max(peak, restart.memory.peak) };
}

async function main(): Promise<void> {
  const options = parseScaleOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), "pc-scale-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void endAll().then(() => process.exit(INTERRUPTED)));
  }
  try {
    const result = await run(folder, options);
    if (options.json) process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    else process.stdout.write(scaleText(result));
    if (options.write) writeScaleSection(result);
  } catch (cause) {
    process.stderr.write(logEnds(folder));
    throw cause;
  } finally {
    await endAll();
  }
}

/** What all processes said last, for who has to find out what went wrong. */
function logEnds(folder: string): string {
  const logs = readdirSync(folder).filter((name) => name.endsWith(".log"));
  return logs.map((name) => `== ${name}\n${readFileSync(join(folder, name), "utf8").slice(-LOG_END)}\n`).join("");
}

async function endAll(): Promise<void> {
  for (const one of running.splice(0)) await one.end();
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench-scale: ${causeText(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
