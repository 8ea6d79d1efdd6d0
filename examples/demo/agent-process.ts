/** The agent as a user runs it, and what it says. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { AgentEvent } from "../../src/flow/record.ts";
import { collect, DemoSetupError, ended } from "./command.ts";
import { spawnStage } from "./topology.ts";

const START_TIMEOUT_MS = 15_000;

export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  readonly #stderr: () => string;

  /** @param command with `--output json` */
  constructor(command: readonly string[]) {
    this.#child = spawnStage(command);
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new TypeError("the agent's output is not a pipe");
    this.#stderr = collect(stderr);
    createInterface({ input: stdout }).on("line", (line) => {
      const event = JSON.parse(line) as AgentEvent;
      for (const listener of [...this.#listeners]) listener(event);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Calls back with each event from now on; returns what ends that. */
  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Settles when all pods are in force. @throws DemoSetupError with what the agent said, if it ends or takes too long */
  ready(): Promise<void> {
    return new Promise((settle, fail) => {
      const giveUp = (what: string) => fail(new DemoSetupError(`the agent ${what}: ${this.#stderr().trim()}`));
      const timer = setTimeout(() => giveUp("is not ready in time"), START_TIMEOUT_MS);
      this.#child.once("exit", () => giveUp("ended"));
      const stop = this.subscribe(({ type }) => {
        if (type !== "ready") return;
        clearTimeout(timer);
        stop();
        settle();
      });
    });
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await ended(this.#child);
  }
}
