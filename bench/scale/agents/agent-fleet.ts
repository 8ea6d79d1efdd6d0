/** All agents, in a few processes. */
import { join } from "node:path";
import { BenchError } from "../../errors.ts";
import { ScaleProcess } from "../processes.ts";
import type { AgentCommand, AgentNews, AgentPlace } from "./agent-messages.ts";

const PROCESSES = 2;
const MESSAGE_MS = 30_000;

export class AgentFleet {
  readonly processes: readonly ScaleProcess[];

  constructor(folder: string) {
    const command = [process.execPath, "--disable-warning=ExperimentalWarning", join(import.meta.dirname, "agents.ts")];
    this.processes = Array.from(
      { length: PROCESSES },
      (_, index) => new ScaleProcess({ name: `agents-${index}`, folder, command, messages: true }),
    );
  }

  /** Starts the agents. */
  start(target: string, authority: string, places: readonly AgentPlace[]): void {
    this.processes.forEach((process, index) => {
      const agents = places.filter((_, place) => place % this.processes.length === index);
      send(process, { type: "start", target, authority, agents });
    });
  }

  traffic(on: boolean): void {
    for (const process of this.processes) send(process, { type: "traffic", on });
  }

  /** Settles once it is being waited for: the promise inside is that of the moments at which the pods' tables had changed. */
  async expect(pods: [node: string, uid: string][], timeout: number): Promise<{ changed: Promise<number[]> }> {
    const changed = this.#collect("changed", timeout).then((news) => news.flatMap(({ moments }) => moments));
    await this.#ask({ type: "expect", pods });
    return { changed };
  }

  /** The same for new connections of all agents. */
  async expectAll(timeout: number): Promise<{ all: Promise<Extract<AgentNews, { type: "all" }>[]> }> {
    const all = this.#collect("all", timeout);
    await this.#ask({ type: "expectAll" });
    return { all };
  }

  async end(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.end("SIGKILL")));
  }

  cpuSeconds(): number {
    return this.processes.reduce((sum, process) => sum + process.cpuSeconds(), 0);
  }

  async #ask(command: AgentCommand): Promise<void> {
    const answers = this.#collect("expecting", MESSAGE_MS);
    for (const process of this.processes) send(process, command);
    await answers;
  }

  /** One message of that type from each process. */
  #collect<T extends AgentNews["type"]>(type: T, timeout: number): Promise<Extract<AgentNews, { type: T }>[]> {
    return Promise.all(this.processes.map((process) => nextOf(process, type, timeout)));
  }
}

function send({ child }: ScaleProcess, command: AgentCommand): void {
  child.send(command);
}

function nextOf<T extends AgentNews["type"]>(
  process: ScaleProcess,
  type: T,
  timeout: number,
): Promise<Extract<AgentNews, { type: T }>> {
  return new Promise((settle, fail) => {
    const finish = (done: () => void) => {
      clearTimeout(late);
      process.child.off("message", take);
      done();
    };
    const take = (news: AgentNews) => {
      if (news.type === type) finish(() => settle(news as Extract<AgentNews, { type: T }>));
    };
    const late = setTimeout(() => {
      finish(() =>
        fail(new BenchError(`${process.name} has not reported "${type}" in ${timeout} ms\n${process.logEnd()}`)),
      );
    }, timeout);
    process.child.on("message", take);
  });
}
