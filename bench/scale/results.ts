/** What a run comes to. Bytes, and seconds unless a name says milliseconds. */
import type { Size } from "./layout.ts";

export interface EditResult {
  /** That the profile has pods on, one on each. */
  nodes: number;
  rounds: number;
  /** Milliseconds from the request to the last agent's acknowledgement. */
  all: { p50: number; p99: number; max: number };
  /** The same to any agent's. */
  agent: { p50: number; p99: number };
  /** Of each edit. */
  revisions: number;
  bytes: number;
  cpuSeconds: { operator: number; agents: number; apiServer: number };
  seconds: number;
  memory: number;
}

export interface ChangeResult {
  nodes: number;
  edits: number;
  /** Of the operator, for each edit. */
  writes: number;
  cpuSeconds: number;
  /** Of everybody, for all edits. */
  requests: Record<string, number>;
}

export interface QuietResult {
  /** Packets are counted on every node. */
  traffic: boolean;
  /** Of one CPU. */
  cpuShare: number;
  writesPerSecond: number;
  memory: number;
}

/** Seconds since the operator's start. */
export interface RestartResult {
  plannedSeconds: number;
  firstConnectedSeconds: number;
  allConnectedSeconds: number;
  allTakenSeconds: number;
  /** That an agent was without an operator, from the first operator's end on. */
  awaySeconds: { p50: number; p99: number };
  cpuSeconds: number;
  memory: { now: number; peak: number };
}

/** With agents that hold nothing. */
export interface FirstStartResult {
  plannedSeconds: number;
  /** From the agents' start on. */
  allTakenSeconds: number;
  cpuSeconds: number;
  /** Planned, before the first agent. */
  plannedMemory: number;
  memory: { now: number; peak: number };
}

export interface ScaleResult {
  size: Size;
  time: string;
  populateSeconds: number;
  first: FirstStartResult;
  quiet: QuietResult[];
  edits: EditResult[];
  changes: ChangeResult[];
  restart: RestartResult;
  /** Of the operator, over everything. */
  peakMemory: number;
  apiServerMemory: number;
  /** The average number of processes that wanted a CPU, and how many there are. */
  load: number;
  cpus: number;
}
