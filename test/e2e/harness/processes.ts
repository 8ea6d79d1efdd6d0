/** Processes of a test: started in a namespace, waited for with a limit, killed at the end. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { patiently } from "./patience.ts";

export interface Finished {
  /** Exit status; null if a signal ended it. */
  code: number | null;
  stdout: string;
  stderr: string;
}

const DEFAULT_TIMEOUT_MS = 10_000;

export interface StartOptions {
  /** Enter the namespace as `ip netns exec` does: with its own resolv.conf. */
  ownResolver?: boolean;
  environment?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** A running process whose output can be waited for line by line. */
export class RunningProcess {
  readonly child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #stdout = "";
  #stderr = "";
  #closed = false;

  constructor(program: string, args: readonly string[], { environment, cwd }: StartOptions = {}) {
    this.child = spawn(program, args, {
      stdio: ["pipe", "pipe", "pipe"],
      ...(environment === undefined ? {} : { env: environment }),
      ...(cwd === undefined ? {} : { cwd }),
    });
    this.child.stdin?.on("error", () => {}); // It has ended, and its exit status says how.
    this.child.stdout?.on("data", (data) => this.#take(() => (this.#stdout += String(data))));
    this.child.stderr?.on("data", (data) => this.#take(() => (this.#stderr += String(data))));
    this.child.once("close", () => this.#take(() => (this.#closed = true)));
  }

  /** Starts it in a network namespace. The process is the program itself, with no other above it. */
  static in(namespace: string, program: string, args: readonly string[], options: StartOptions = {}): RunningProcess {
    return options.ownResolver === true
      ? new RunningProcess("ip", ["netns", "exec", namespace, program, ...args], options)
      : new RunningProcess("nsenter", [`--net=/run/netns/${namespace}`, "--", program, ...args], options);
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.child.spawnfile} could not be started`);
    return this.child.pid;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Until a line of its standard output is this text, or matches. @returns the line */
  async line(wanted: string | RegExp, timeout = DEFAULT_TIMEOUT_MS): Promise<string> {
    const find = () =>
      this.#stdout
        .split("\n")
        .slice(0, -1)
        .find((line) => (typeof wanted === "string" ? line === wanted : wanted.test(line)));
    await this.#until(() => find() !== undefined || this.#closed, `a line ${wanted}`, timeout);
    const line = find();
    if (line === undefined) throw new Error(`ended without a line ${wanted}: ${this.#stdout}${this.#stderr}`);
    return line;
  }

  /** Gives it a line on standard input. */
  tell(line = ""): void {
    this.child.stdin?.write(`${line}\n`);
  }

  async finish(timeout = DEFAULT_TIMEOUT_MS): Promise<Finished> {
    await this.#until(() => this.#closed, "its end", timeout);
    return { code: this.child.exitCode, stdout: this.#stdout, stderr: this.#stderr };
  }

  /** Whether it comes to a good end within so many ms, as usual. If it is still at work then, it is killed. */
  async succeeds(within: number): Promise<boolean> {
    const late = setTimeout(() => void this.kill(), patiently(within));
    const { code, stderr } = await this.finish(within + DEFAULT_TIMEOUT_MS);
    clearTimeout(late);
    if (code !== 0 && code !== null) throw new Error(`${this.child.spawnargs.join(" ")}: ${code}: ${stderr}`);
    return code === 0;
  }

  /** Ends it, and waits until it is gone. Its children may live on, with its output still open. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill(signal);
    await gone;
    for (const stream of [this.child.stdout, this.child.stderr, this.child.stdin]) stream?.destroy();
  }

  #take(change: () => void): void {
    change();
    for (const look of [...this.#waiting]) look();
  }

  async #until(condition: () => boolean, what: string, limit: number): Promise<void> {
    if (condition()) return;
    const timeout = patiently(limit);
    await new Promise<void>((settle, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        void this.kill();
        const command = this.child.spawnargs.join(" ");
        reject(new Error(`${command}: no ${what} in ${timeout} ms\n${this.#stdout}${this.#stderr}`));
      }, timeout);
      const look = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        settle();
      };
      this.#waiting.add(look);
    });
  }
}
