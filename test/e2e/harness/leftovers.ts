/**
 * What a fixture makes outside of its own processes carries its name: network namespaces, pins, folders. So it can all be
 * found and removed, at the end of a test file as well as by the next one if a run was killed.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RUN_FOLDER, RUN_PREFIX } from "../../../src/cli/run/run-pins.ts";
import { deadPinRoots } from "../../../src/node-agent/enforce/detach.ts";
import { defaultStateDirectory } from "../../../src/node-agent/enforce/state/state.ts";

const PREFIX = "pc-e2e";
const NAME_PATTERN = /^pc-e2e-(\d+)-/;

export const BPFFS = "/sys/fs/bpf";
const RUN_END_MS = 5_000;
const NAMED_NAMESPACES = "/run/netns";
const NAMESPACE_FILES = "/etc/netns";

/**
 * Pins of `portcullis run` without a run that owns them. Test files beside this one may run some, whose last moments, without a lock but
 * with pins, are waited for.
 */
export async function deadRuns(): Promise<string[]> {
  const dead = () => deadPinRoots(RUN_FOLDER, RUN_PREFIX, defaultStateDirectory);
  const deadline = Date.now() + RUN_END_MS;
  while (dead().length > 0 && Date.now() < deadline) await sleep(50);
  return dead();
}

/** Of what belongs to a fixture of this process. */
export function fixtureName(label: string): string {
  return `${PREFIX}-${process.pid}-${label}`;
}

/** Where a fixture keeps its files: a file system of its own, so that what is executed there is no overlay's. */
export function fixtureFolder(name: string): string {
  return join(tmpdir(), name);
}

/** Removes all whose name begins with the fixture's. Never fails on what is gone already. */
export function removeFixture(name: string): void {
  for (const namespace of entriesOf(NAMED_NAMESPACES, name)) {
    killInside(namespace);
    spawnSync("ip", ["netns", "delete", namespace]);
  }
  for (const mount of mountsBelow(fixtureFolder(name))) spawnSync("umount", ["-l", mount]);
  for (const folder of [BPFFS, NAMESPACE_FILES, tmpdir()]) {
    for (const entry of entriesOf(folder, name)) rmSync(join(folder, entry), { recursive: true, force: true });
  }
}

/** Removes what runs of processes that are no more have left. */
export function removeLeftovers(): void {
  const folders = [NAMED_NAMESPACES, BPFFS, NAMESPACE_FILES, tmpdir()];
  const names = new Set(folders.flatMap((folder) => entriesOf(folder, PREFIX)));
  const owners = new Set([...names].flatMap((name) => NAME_PATTERN.exec(name)?.[1] ?? []));
  for (const pid of owners) {
    if (!existsSync(`/proc/${pid}`)) removeFixture(`${PREFIX}-${pid}-`);
  }
}

function entriesOf(folder: string, prefix: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((name) => name.startsWith(prefix));
}

function killInside(namespace: string): void {
  const { stdout } = spawnSync("ip", ["netns", "pids", namespace], { encoding: "utf8" });
  for (const pid of (stdout ?? "").split("\n").filter((line) => line !== "")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended by itself meanwhile.
    }
  }
}

/** Deepest first; folders of a killed run are matched by prefix. */
function mountsBelow(folder: string): string[] {
  return readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((path) => path.startsWith(folder))
    .sort()
    .reverse();
}

/** A file system in memory at this folder, as a container image has one of its own. */
export function mountMemory(folder: string): void {
  execFileSync("mount", ["-t", "tmpfs", "-o", "mode=0755", "none", folder]);
}
