/** Commands that the demo runs for itself: `ip`, `mount`, ... */
import { type ChildProcess, spawn } from "node:child_process";

export interface CommandResult {
  /** Exit status; 128 and more: ended by a signal. */
  status: number;
  stdout: string;
  stderr: string;
}

/** A command of the demo's own stage did not work: nothing can be shown. */
export class DemoSetupError extends Error {
  override readonly name = "DemoSetupError";
}

export interface RunOptions {
  input?: string;
  env?: NodeJS.ProcessEnv;
  /** Milliseconds after which it is killed. */
  timeout?: number;
}

const DEFAULT_TIMEOUT_MS = 10_000;
const STATUS_KILLED = 128;

/** Runs a command to its end. Ctrl-C at the terminal reaches the demo alone, which then takes the stage down in order. */
export function run(command: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  const timer = setTimeout(() => killGroup(child), options.timeout ?? DEFAULT_TIMEOUT_MS);
  child.stdin.on("error", ignoreClosedPipe).end(options.input ?? "");
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  return new Promise((settle, fail) => {
    child.once("error", fail);
    child.once("close", (code) => {
      clearTimeout(timer);
      settle({ status: code ?? STATUS_KILLED, stdout: stdout(), stderr: stderr() });
    });
  });
}

/** A shell and what it has started are one group, which was made for them. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    // It has just ended.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Runs a command that has to work. @throws DemoSetupError with what it said */
export async function must(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await run(command, options);
  if (status === 0) return stdout;
  throw new DemoSetupError(
    `setting the stage failed: \`${command.join(" ")}\` ended with ${status}: ${stderr.trim() || stdout.trim()}`,
  );
}

/** Settles when a process that was spawned is gone. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((settle) => child.once("exit", () => settle()));
}

/** What a stream said, as text, when asked. */
export function collect(stream: NodeJS.ReadableStream): () => string {
  const chunks: string[] = [];
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => chunks.push(chunk));
  return () => chunks.join("");
}

/** A command that reads no input closes it; its exit status tells the rest. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== "EPIPE") throw error;
}
