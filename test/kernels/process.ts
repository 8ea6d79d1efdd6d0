/** A program that runs for long, and never longer than this process. */
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { MatrixError } from "./errors.ts";

export interface ProcessOptions {
  /** After this long it is killed, with its children, ms. */
  timeout: number;
  /** File for its output; standard error is given with a failure if there is none. */
  log?: string;
  cwd?: string;
  /** Added to the environment. */
  env?: Record<string, string>;
}

/**
 * Ends with the program, at the time limit, or with this process, whichever comes first.
 * @param accept exit codes that are no failure
 * @returns the exit code; null if a signal ended it
 * @throws MatrixError if it cannot be run, or fails
 */
export function runToEnd(
  program: string,
  args: readonly string[],
  { timeout, log, cwd, env }: ProcessOptions,
  accept: readonly number[] = [0],
): Promise<number | null> {
  const output = log === undefined ? "ignore" : openSync(log, "w");
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["ignore", output, log === undefined ? "pipe" : output],
      env: { ...process.env, ...env },
      // A group of its own, which can be ended as a whole.
      detached: true,
      ...(cwd === undefined ? {} : { cwd }),
    });
    const stop = (): void => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
        process.kill(-child.pid, "SIGKILL");
      }
    };
    const timer = setTimeout(stop, timeout);
    let words = "";
    child.stderr?.on("data", (data: Buffer) => {
      words += data.toString();
    });
    process.once("exit", stop);
    const over = (): void => {
      clearTimeout(timer);
      process.off("exit", stop);
    };
    child.once("error", (cause) => {
      over();
      reject(new MatrixError(`cannot run ${program}: ${cause.message}`, { cause }));
    });
    child.once("close", (status) => {
      over();
      if (status === null || accept.includes(status)) resolve(status);
      else reject(new MatrixError(`${program} failed (${status}): ${words.trim()}`));
    });
  });
}
