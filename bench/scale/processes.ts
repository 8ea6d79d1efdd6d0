/** Processes of a run: they end with it, however it ends, and what they cost is read from /proc. */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { BenchError } from "../errors.ts";

export interface ProcessOptions {
  name: string;
  /** For its log. */
  folder: string;
  command: readonly string[];
  environment?: Readonly<Record<string, string>>;
  /** A channel for messages, to a child that is Node. */
  messages?: boolean;
}

/** Of the kernel's clock for processes, per second. */
const TICKS = 100;
const KIBIBYTE = 1024;
const END_MS = 15_000;

export class ScaleProcess {
  readonly name: string;
  readonly log: string;
  readonly child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor({ name, folder, command, environment = {}, messages = false }: ProcessOptions) {
    this.name = name;
    this.log = join(folder, `${name}.log`);
    const output = openSync(this.log, "a");
    // The kernel ends it when we are killed.
    this.child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...command], {
      stdio: ["ignore", output, output, ...(messages ? (["ipc"] as const) : [])],
      env: { ...process.env, ...environment },
      serialization: "advanced",
    });
    this.#ended = new Promise((settle) => this.child.once("exit", () => settle()));
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Seconds of CPU used so far. */
  cpuSeconds(): number {
    const fields = this.#proc("stat").split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  }

  /** Resident bytes: now, and at most so far. */
  memory(): { now: number; peak: number } {
    const status = this.#proc("status");
    const bytes = (field: string) => Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(status)?.[1]) * KIBIBYTE;
    return { now: bytes("VmRSS"), peak: bytes("VmHWM") };
  }

  /** @throws BenchError with the end of its log, if it has ended */
  check(): void {
    if (!this.isAlive) throw new BenchError(`${this.name} has ended:\n${this.logEnd()}`);
  }

  logEnd(): string {
    return readFileSync(this.log, "utf8").slice(-3000);
  }

  /** Asks it to end, and insists if it does not. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (!this.isAlive) return;
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill("SIGKILL"), END_MS);
    await this.#ended;
    clearTimeout(late);
  }

  #proc(file: string): string {
    this.check();
    return readFileSync(`/proc/${this.child.pid}/${file}`, "utf8");
  }
}

/** Waits for something that has to come. @throws BenchError with what the process said last */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { timeout = 60_000, interval = 20, of }: { timeout?: number; interval?: number; of?: ScaleProcess } = {},
): Promise<void> {
  for (const deadline = performance.now() + timeout; !(await condition()); await wait(interval)) {
    of?.check();
    if (performance.now() > deadline) throw new BenchError(`waited ${timeout} ms for ${what}\n${of?.logEnd() ?? ""}`);
  }
}
