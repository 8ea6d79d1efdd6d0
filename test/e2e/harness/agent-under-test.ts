/** `portcullis agent` as a user runs it, in the node's network namespace, with pins and state of its own. */
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RevisionEvent } from "../../../src/flow/record.ts";
import { EventStream } from "./event-stream.ts";
import { BPFFS } from "./leftovers.ts";
import { type Finished, RunningProcess } from "./processes.ts";
import type { Place, WorkloadPlace } from "./topology.ts";

export const PORTCULLIS = join(import.meta.dirname, "../../../bin/portcullis");
const START_TIMEOUT_MS = 30_000;
const REVISION_TIMEOUT_MS = 8_000;

export interface AgentParts {
  fixture: string;
  folder: string;
  node: Place;
  workloads: readonly WorkloadPlace[];
  /** Further labels of a workload, by the value of its label `app`. */
  labelsOf: (app: string) => Readonly<Record<string, string>>;
  /** More options of the command. */
  args: readonly string[];
}

export class AgentUnderTest {
  readonly pinRoot: string;
  readonly stateFolder: string;
  readonly profilesFolder: string;
  /** Of the agent that runs now; a restart begins a new stream. */
  events = new EventStream();
  readonly #parts: AgentParts;
  #process: RunningProcess | null = null;
  #revisions = 0;

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.pinRoot = join(BPFFS, parts.fixture);
    this.stateFolder = join(parts.folder, "state");
    this.profilesFolder = join(parts.folder, "profiles");
    mkdirSync(this.profilesFolder, { recursive: true });
  }

  get pid(): number {
    if (this.#process === null) throw new Error("the agent is not running");
    return this.#process.pid;
  }

  /** What it has said on standard error. */
  get diagnostics(): string {
    return this.#process?.stderr ?? "";
  }

  /** Where its pins and state are, as options for every command that needs them. */
  get pinOptions(): string[] {
    return ["--pin-root", this.pinRoot, "--state-dir", this.stateFolder];
  }

  /** Starts it, and waits for `ready` unless set otherwise. */
  async start({ ready = true, args = [] as readonly string[] } = {}): Promise<void> {
    const { node, workloads, labelsOf } = this.#parts;
    const named = workloads.flatMap(({ name, app }) => {
      const labels = Object.entries({ app, ...labelsOf(app) }).map(([key, value]) => `${key}=${value}`);
      return ["--netns", `${name}:${labels.join(",")}`];
    });
    const options = ["--profiles", this.profilesFolder, ...named, "--output", "json", ...this.pinOptions];
    const all = ["agent", ...options, "--event-interval", "0ms", ...this.#parts.args, ...args];
    const agent = RunningProcess.in(node.name, PORTCULLIS, all);
    const events = new EventStream();
    this.#process = agent;
    this.events = events;
    agent.child.stdout?.on("data", (data) => events.feed(String(data)));
    agent.child.on("close", () => events.end(`the agent has ended: ${agent.stderr.slice(-2000)}`));
    if (!ready) return;
    try {
      await events.waitFor("ready", ({ type }) => type === "ready", { timeout: START_TIMEOUT_MS });
    } catch (cause) {
      throw new Error(`the agent does not get ready: ${agent.stderr.slice(-4000)}`, { cause });
    }
  }

  /** As a crash, or the OOM killer, would end it. */
  async crash(): Promise<void> {
    await this.#process?.kill("SIGKILL");
    this.#process = null;
  }

  /** As an init system would. */
  async stop(): Promise<Finished | null> {
    const agent = this.#process;
    if (agent === null) return null;
    agent.child.kill("SIGTERM");
    const finished = await agent.finish();
    this.#process = null;
    return finished;
  }

  /** Writes the profiles, in one stroke, and waits until they are in force. */
  async apply(...profiles: object[]): Promise<RevisionEvent> {
    const event = await this.offer(...profiles);
    if (event.refused) throw new Error(`the revision was refused: ${JSON.stringify(event.errors)}`);
    return event;
  }

  /** Writes the profiles, and waits for what the agent says to them. */
  async offer(...profiles: object[]): Promise<RevisionEvent> {
    const mark = this.events.mark();
    this.write(...profiles);
    return await this.events.waitFor("a revision", (event): event is RevisionEvent => event.type === "revision", {
      from: mark,
      timeout: REVISION_TIMEOUT_MS,
    });
  }

  /** Writes the profiles; nothing that is the same as before is written, which would be no new revision. */
  write(...profiles: object[]): void {
    this.#revisions++;
    const documents = [`# ${this.#revisions}`, ...profiles.map((profile) => JSON.stringify(profile))];
    this.writeText(documents.join("\n---\n"));
  }

  /** Puts this text into the folder of profiles, in one stroke. */
  writeText(text: string): void {
    const file = join(this.profilesFolder, "profiles.yaml");
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  }

  /** Another subcommand on the same pins, in the node's namespace. */
  async command(...args: string[]): Promise<Finished> {
    return await RunningProcess.in(this.#parts.node.name, PORTCULLIS, args).finish(START_TIMEOUT_MS);
  }

  /** Ends it and takes its pins away, however far it has come. */
  async remove(): Promise<void> {
    await this.crash();
    rmSync(this.pinRoot, { recursive: true, force: true });
  }
}
