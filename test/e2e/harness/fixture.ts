/**
 * What a test file sets up once: a topology, the servers outside, an agent, and executables that are copies of the
 * test client under names of their own, each of which is a process of its own to a profile.
 */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import type { Reason } from "../../../src/api/reasons.ts";
import type { AgentEvent, VerdictEvent } from "../../../src/flow/record.ts";
import { buildTool } from "../../tools/build.ts";
import type { Zone } from "../../tools/servers/zone.ts";
import { AgentUnderTest } from "./agent-under-test.ts";
import { isVerdict } from "./event-stream.ts";
import { fixtureFolder, fixtureName, mountMemory, removeFixture, removeLeftovers } from "./leftovers.ts";
import { OutsideServers } from "./outside-servers.ts";
import { type Finished, RunningProcess, type StartOptions } from "./processes.ts";
import { makeTopology, type Place, type Topology, type WorkloadPlace } from "./topology.ts";

const ROOT = join(import.meta.dirname, "../../..");
const CLIENT = join(ROOT, "build/test/client");

export interface FixtureOptions {
  /** Workloads, by the value of their label `app`. */
  apps: readonly string[];
  /** What a workload has for labels beside `app`, or in its place. */
  labelsOf?: (app: string) => Readonly<Record<string, string>>;
  zone?: Zone;
  agentArgs?: readonly string[];
  /** False: the test starts the agent itself. */
  startAgent?: boolean;
  profiles?: (fixture: Fixture) => object[];
}

/** What a violation has to look like. */
export interface Expected {
  reason: Reason;
  verdict?: VerdictEvent["verdict"];
  direction?: VerdictEvent["direction"];
  proto?: string;
  /** Path of the process, null for none. Absent: the program that was run. */
  path?: string | null | typeof ANY_PROCESS;
  /** Of the process that did it; an event that sums up what was held back may come late, and be another's. */
  pid?: number;
}

/** For packets of sockets that two processes share, where either may be named. */
export const ANY_PROCESS = "any";

export class Fixture {
  readonly name: string;
  readonly folder: string;
  readonly topology: Topology;
  readonly servers: OutsideServers;
  readonly agent: AgentUnderTest;
  readonly #processes: RunningProcess[] = [];
  #tags = 0;

  private constructor(name: string, topology: Topology, servers: OutsideServers, options: FixtureOptions) {
    this.name = name;
    this.folder = fixtureFolder(name);
    this.topology = topology;
    this.servers = servers;
    const { node, workloads } = topology;
    const { agentArgs: args = [], labelsOf = () => ({}) } = options;
    this.agent = new AgentUnderTest({ fixture: name, folder: this.folder, node, workloads, labelsOf, args });
  }

  /** Sets a fixture up, for one test file; it is taken down after the file's tests, whatever becomes of them. */
  static async start(label: string, options: FixtureOptions): Promise<Fixture> {
    removeLeftovers();
    const name = fixtureName(label);
    const takeDown = () => removeFixture(name);
    process.once("exit", takeDown);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
    buildTool("client");
    mkdirSync(fixtureFolder(name), { recursive: true });
    mountMemory(fixtureFolder(name));
    mkdirSync(join(fixtureFolder(name), "bin"));
    const topology = makeTopology(name, options.apps);
    const servers = await OutsideServers.start(topology.outside.name);
    const fixture = new Fixture(name, topology, servers, options);
    after(() => fixture.close());
    if (options.zone !== undefined) await servers.zone(options.zone);
    if (options.profiles !== undefined) fixture.agent.write(...options.profiles(fixture));
    if (options.startAgent !== false) await fixture.agent.start();
    return fixture;
  }

  async close(): Promise<void> {
    for (const running of this.#processes) await running.kill();
    await this.agent.remove();
    await this.servers.stop();
    removeFixture(this.name);
  }

  workload(app: string): WorkloadPlace {
    const workload = this.topology.workloads.find((candidate) => candidate.app === app);
    if (workload === undefined) throw new Error(`the fixture has no workload ${app}`);
    return workload;
  }

  /** A path of the fixture's own file system. */
  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** Path of an executable of this name: a copy of the test client, or of `original`. */
  program(name: string, original = CLIENT): string {
    const path = this.path("bin", name);
    rmSync(path, { force: true });
    copyFileSync(original, path);
    return path;
  }

  /** A text that nothing else of this fixture sends. */
  tag(): string {
    return `${this.name}.${++this.#tags}.`;
  }

  /** Starts the test client with verbs as in client.h, or another program with its arguments. */
  start(place: Place, program: string, verbs: string | readonly string[], options?: StartOptions): RunningProcess {
    const args = typeof verbs === "string" ? verbs.split(" ").filter((verb) => verb !== "") : verbs;
    const running = RunningProcess.in(place.name, program, args, options);
    this.#processes.push(running);
    return running;
  }

  async run(
    place: Place,
    program: string,
    verbs: string | readonly string[],
    options?: StartOptions,
  ): Promise<Finished> {
    return await this.start(place, program, verbs, options).finish();
  }

  /** The verbs have to be carried out: what they send is answered. `TAG` in them stands for a text of their own. */
  async passes(place: Place, program: string, verbs: string): Promise<Finished> {
    const finished = await this.run(place, program, verbs.replaceAll("TAG", this.tag()));
    const recent = this.agent.events.events.slice(-5).map((event) => JSON.stringify(event));
    assert.equal(
      finished.code,
      0,
      `should pass: ${program} ${verbs}\n${finished.stderr}${finished.stdout}\n${recent.join("\n")}`,
    );
    return finished;
  }

  /**
   * The verbs have to be stopped, for this reason, by the event that is returned; and nothing with their TAG may have
   * arrived at a server.
   */
  async stops(place: Place, program: string, verbs: string, expected: Expected): Promise<VerdictEvent> {
    const mark = this.agent.events.mark();
    const tag = this.tag();
    const quick = verbs.includes("timeout ") ? verbs : `timeout 250 ${verbs}`;
    const finished = await this.run(place, program, quick.replaceAll("TAG", tag));
    const event = await this.violation({ path: program, ...expected }, mark, place);
    assert.notEqual(finished.code, 1, finished.stderr);
    assert.notEqual(finished.code, 2, finished.stderr);
    assert.deepEqual(await this.servers.received(tag), [], `should have been stopped: ${verbs}`);
    return event;
  }

  /** The next event of this violation. */
  async violation(expected: Expected, mark: number, place?: Place): Promise<VerdictEvent> {
    const { verdict = "dropped" } = expected;
    const wanted = (event: AgentEvent): event is VerdictEvent =>
      isVerdict(event) &&
      event.verdict === verdict &&
      event.reason === expected.reason &&
      (place === undefined || event.workload.name === place.name || place.name === this.topology.outside.name) &&
      (expected.direction === undefined || event.direction === expected.direction) &&
      (expected.proto === undefined || event.proto === expected.proto) &&
      (expected.pid === undefined || event.process?.pid === expected.pid) &&
      (expected.path === undefined || expected.path === ANY_PROCESS || (event.process?.path ?? null) === expected.path);
    return await this.agent.events.waitFor(JSON.stringify({ verdict, ...expected }), wanted, { from: mark });
  }
}
