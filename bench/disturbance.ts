/** What else on the machine makes figures worse than they are: agents that are not the benchmarks' own, and other load. */
import { existsSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join } from "node:path";
import { BPFFS_PATH, listPins } from "../src/node-agent/kernel/bpffs.ts";
import { PIN_ROOT } from "./bed/agent-process.ts";

/** Processes that want a CPU, for each CPU, above which the machine counts as busy; the benchmarks need one. */
const BUSY = 1;

/** Collects them for as long as the benchmarks run. */
export class Disturbances {
  #agents = false;
  #load = 0;

  /** Looks now. */
  look(): void {
    const others = listPins(BPFFS_PATH).map((name) => join(BPFFS_PATH, name));
    const isAgent = (root: string) => root !== PIN_ROOT && existsSync(join(root, "links", "socket_created"));
    this.#agents ||= others.some(isAgent);
    this.#load = Math.max(this.#load, (loadavg()[0] ?? 0) / cpus().length);
  }

  /** In words, for the reader of the figures. */
  notes(): string[] {
    const agents = "Other agents were on the machine: their socket hooks made every variant slower, baselines too.";
    const load = `The machine was busy with other work: up to ${this.#load.toFixed(1)} processes wanted each CPU.`;
    return [...(this.#agents ? [agents] : []), ...(this.#load > BUSY ? [load] : [])];
  }
}
