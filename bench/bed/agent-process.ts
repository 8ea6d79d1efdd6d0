/** An agent of Portcullis, as users run it, for the workloads of a site. */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { BPFFS_PATH, removePinFolder } from "../../src/node-agent/kernel/bpffs.ts";
import { BenchError } from "../errors.ts";
import { makeFolder } from "../files.ts";
import { enterCommand } from "./network.ts";

const COMMAND = fileURLToPath(new URL("../../bin/portcullis", import.meta.url));
export const OBJECTS = fileURLToPath(new URL("../../build/bpf", import.meta.url));
export const PIN_ROOT = join(BPFFS_PATH, "pc-bench");
export const STATE = "/run/pc-bench";
const START_TIMEOUT_MS = 120_000;
/** proc(5): what getconf CLK_TCK says on every Linux. */
const TICKS_PER_SECOND = 100;
const NEWLINE = 10;

export interface AgentSetup {
  /** Namespace that it runs in: the node of the site. */
  node: string;
  /** Namespace of each workload -> the profiles that select it. */
  workloads: Record<string, object[]>;
  options?: string[];
}

/** Memory and processor time of a process. */
export interface Usage {
  /** Bytes. */
  resident: number;
  /** Seconds since it was started. */
  processor: number;
}

export class AgentProcess implements Disposable {
  readonly #child: ChildProcess;
  readonly #folder: string;
  /** Events that it has printed since it was ready. */
  lines = 0;

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child;
    this.#folder = folder;
  }

  /** Starts one and waits until all workloads are under enforcement. Its further events are counted. */
  static async start(setup: AgentSetup): Promise<AgentProcess> {
    removeAgentTraces();
    const folder = makeFolder();
    for (const [workload, profiles] of Object.entries(setup.workloads)) {
      profiles.forEach((profile, n) => {
        writeFileSync(join(folder, `${workload}-${n}.json`), JSON.stringify(profile));
      });
    }
    const names = Object.keys(setup.workloads).flatMap((name) => ["--netns", `${name}:bench=${name}`]);
    const options = ["--profiles", folder, "--pin-root", PIN_ROOT, "--state-dir", STATE, "--output", "json"];
    const [program = "", ...args] = [...enterCommand(setup.node), COMMAND, "agent", ...options, "--log-level", "error"];
    const child = spawn(program, [...args, ...names, ...(setup.options ?? [])], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const agent = new AgentProcess(child, folder);
    try {
      await ready(child);
    } catch (error) {
      agent[Symbol.dispose]();
      throw error;
    }
    agent.#countLines();
    return agent;
  }

  usage(): Usage {
    const folder = `/proc/${this.#child.pid}`;
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`${folder}/status`, "utf8"))?.[1];
    // The name of the program, in parentheses, may have spaces; utime and stime are the 12th and 13th after it.
    const fields = readFileSync(`${folder}/stat`, "utf8")
      .replace(/^.*\) /, "")
      .split(" ");
    return {
      resident: Number(resident) * 1024,
      processor: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    };
  }

  #countLines(): void {
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) this.lines += 1;
    });
    this.#child.stdout?.resume();
  }

  /** Stops it, and takes all that it has put into the kernel out again. */
  [Symbol.dispose](): void {
    this.#child.kill("SIGKILL");
    removeAgentTraces();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What agents of this and earlier runs have left: pins (which hold links and maps) and state. */
export function removeAgentTraces(): void {
  removePinFolder(PIN_ROOT);
  rmSync(STATE, { recursive: true, force: true });
}

async function ready(child: ChildProcess): Promise<void> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const timeout = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT_MS);
  try {
    for await (const line of lines) {
      const event = JSON.parse(line) as { type: string; errors?: unknown[]; error?: { message: string } };
      if (event.type === "ready") return;
      if ((event.errors ?? []).length > 0)
        throw new BenchError(`the agent refuses the profiles: ${line.slice(0, 1000)}`);
    }
    throw new BenchError("the agent ended, or was not ready in time");
  } finally {
    clearTimeout(timeout);
    lines.close();
  }
}
