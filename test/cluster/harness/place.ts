/**
 * Where the cluster's processes live: network namespaces and cgroups of fixed names, so that whatever is left of a run,
 * however it ended, is found and removed by the next.
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { causeCode } from "../../../src/api/errors.ts";
import { cgroupRoot } from "../../../src/node-agent/kernel/mounts.ts";

export const NAME = "pc-cluster";
export const FOLDER = join(tmpdir(), NAME);
const CGROUPS = "/sys/fs/cgroup";
const END_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Directories of a cgroup of ours in all hierarchies; the v2 one first. */
function cgroupFolders(): string[] {
  const unified = cgroupRoot();
  const legacy = unified === CGROUPS ? [] : readdirSync(CGROUPS).map((name) => join(CGROUPS, name));
  return [...new Set([unified, ...legacy])].map((hierarchy) => join(hierarchy, NAME));
}

/** Makes `/pc-cluster/<name>` in every hierarchy, ready for processes. */
export function makeCgroup(name: string): void {
  const [unified = "", ...legacy] = cgroupFolders();
  makeUnified(unified, name);
  for (const folder of legacy) makeLegacy(folder, name);
}

/** Version 2 hands controllers down one level at a time, to cgroups below such as have no processes of their own. */
function makeUnified(folder: string, name: string): void {
  mkdirSync(join(folder, name), { recursive: true });
  const above = [dirname(folder), folder, ...pathsTo(folder, name)].slice(0, -1);
  for (const path of above) {
    const controllers = readFileSync(join(path, "cgroup.controllers"), "utf8").trim();
    // Beside version 1, which has them all.
    if (controllers === "") return;
    handDown(path, controllers.split(" "));
  }
}

function handDown(path: string, controllers: readonly string[]): void {
  const wanted = controllers.map((controller) => `+${controller}`).join(" ");
  try {
    writeFileSync(join(path, "cgroup.subtree_control"), wanted);
  } catch (error) {
    if (causeCode(error) !== "EBUSY") throw error;
    // In a container that sees nothing above its own cgroup, everybody is in what looks like the root.
    moveDown(path);
    writeFileSync(join(path, "cgroup.subtree_control"), wanted);
  }
}

function moveDown(path: string): void {
  const below = join(path, "init");
  mkdirSync(below, { recursive: true });
  for (const pid of readFileSync(join(path, "cgroup.procs"), "utf8").split("\n").map(Number)) {
    if (pid > 0 && existsSync(`/proc/${pid}`)) writeFileSync(join(below, "cgroup.procs"), String(pid));
  }
}

function makeLegacy(folder: string, name: string): void {
  mkdirSync(join(folder, name), { recursive: true });
  if (!existsSync(join(folder, "cpuset.cpus"))) return;
  // Version 1 has no defaults: a cpuset without CPUs takes no process.
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    const value = readFileSync(join(folder, "..", file));
    for (const below of [folder, ...pathsTo(folder, name)]) writeFileSync(join(below, file), value);
  }
}

function pathsTo(folder: string, name: string): string[] {
  const parts = name.split("/");
  return parts.map((_, index) => join(folder, ...parts.slice(0, index + 1)));
}

/** A long-running process of the cluster. */
export interface Daemon {
  pid: number;
  log: string;
}

export interface DaemonOptions {
  /** Name of its log. */
  name: string;
  /** Network namespace, as in `ip netns`. */
  netns: string;
  /** Below the cluster's own. */
  cgroup: string;
  /** A process whose mount namespace it shares. */
  mountsOf?: number;
  command: readonly string[];
  environment?: Readonly<Record<string, string>>;
}

/** Starts a process that outlives this one, and ends with `endAll`. */
export function startDaemon({ name, netns, cgroup, mountsOf, command, environment }: DaemonOptions): Daemon {
  const log = join(FOLDER, `${name}.log`);
  const output = openSync(log, "a");
  const mounts = mountsOf === undefined ? [] : [`--mount=/proc/${mountsOf}/ns/mnt`, "--wd=/"];
  const enter = ["nsenter", `--net=/run/netns/${netns}`, ...mounts, "--", ...command];
  const joinCgroup = `echo $$ > ${join(cgroupRoot(), NAME, cgroup, "cgroup.procs")} && exec "$@"`;
  const child = spawn("sh", ["-c", joinCgroup, "sh", ...enter], {
    detached: true,
    stdio: ["ignore", output, output],
    env: { PATH: process.env.PATH ?? "", ...environment },
  });
  if (child.pid === undefined) throw new Error(`${name} could not be started`);
  child.unref();
  return { pid: child.pid, log };
}

/** The end of a daemon's log, for errors. */
export function logEnd({ log }: Daemon): string {
  return readFileSync(log, "utf8").slice(-3000);
}

/** Ends every process of the cluster, or of one cgroup of it, at once. */
export async function endAll(name = ""): Promise<void> {
  const folder = join(cgroupRoot(), NAME, name);
  if (!existsSync(folder)) return;
  for (const deadline = performance.now() + END_TIMEOUT_MS; populated(folder); await sleep(POLL_MS)) {
    if (performance.now() > deadline) throw new Error(`processes in ${folder} do not end`);
    killTree(folder);
  }
}

function populated(folder: string): boolean {
  return /populated 1/.test(readFileSync(join(folder, "cgroup.events"), "utf8"));
}

function killTree(folder: string): void {
  const kill = join(folder, "cgroup.kill");
  if (existsSync(kill)) {
    writeFileSync(kill, "1");
    return;
  }
  // Before Linux 5.14.
  for (const pid of readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").map(Number)) {
    if (pid > 0) process.kill(pid, "SIGKILL");
  }
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) killTree(join(folder, entry.name));
  }
}

/** Removes what is left once all has ended: cgroups, namespaces, files. */
export async function removeAll(): Promise<void> {
  await endAll();
  for (const folder of cgroupFolders()) removeCgroup(folder);
  for (const name of netnsNames()) execFileSync("ip", ["netns", "delete", name]);
  rmSync(FOLDER, { recursive: true, force: true });
}

function removeCgroup(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  }
  rmdirSync(folder);
}

function netnsNames(): string[] {
  if (!existsSync("/run/netns")) return [];
  return readdirSync("/run/netns").filter((name) => name.startsWith(`${NAME}-`));
}

export interface EventuallyOptions {
  /** Milliseconds. */
  timeout?: number;
  /** Milliseconds between two looks. */
  interval?: number;
  /** What to say if it does not come. */
  describe?: () => string;
}

/** Waits for something that has to come. @throws Error with what `describe` says */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  { timeout = 60_000, interval = 200, describe = () => "" }: EventuallyOptions = {},
): Promise<void> {
  for (const deadline = performance.now() + timeout; !(await condition()); await sleep(interval)) {
    if (performance.now() > deadline) throw new Error(`waited ${timeout} ms for ${what}\n${describe()}`);
  }
}
