/** Commands of the host. */
import { spawnSync } from "node:child_process";
import { MatrixError } from "./errors.ts";

export interface CommandOptions {
  cwd?: string;
  /** Added to the environment. */
  env?: Record<string, string>;
  /** Standard input. */
  input?: string | Uint8Array;
  /** Exit codes that are no failure; 0 unless given. */
  accept?: readonly number[];
}

const TEN_MINUTES = 600_000;
const OUTPUT_MAX = 1 << 30;

/**
 * Runs a command to its end and returns what it wrote to standard output.
 * @throws MatrixError with the end of what it wrote to standard error
 */
export function runForBytes(command: string, args: readonly string[], options: CommandOptions = {}): Buffer {
  const result = spawnSync(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    input: options.input,
    timeout: TEN_MINUTES,
    maxBuffer: OUTPUT_MAX,
  });
  if (result.error !== undefined) {
    throw new MatrixError(`cannot run ${command}: ${result.error.message}`, { cause: result.error });
  }
  if (result.status === null || !(options.accept ?? [0]).includes(result.status)) {
    const words = result.stderr.toString().trim().split("\n").slice(-5).join("\n");
    throw new MatrixError(`${command} ${args.join(" ")} failed (${result.status ?? result.signal}): ${words}`);
  }
  return result.stdout;
}

/** Like `runForBytes`, for text. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): string {
  return runForBytes(command, args, options).toString();
}
