/** Taking enforcement off: all of it, or one workload's. Needs no agent, and refuses while one is alive. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { causeCode } from "../../api/errors.ts";
import { ownNamespaceInum } from "../discovery/namespaces/bound-namespaces.ts";
import { ERRNO, isKernelError } from "../ffi/errno.ts";
import { listInterfaces } from "../ffi/libc.ts";
import { listPins, removePinFolder } from "../kernel/bpffs.ts";
import { detachClassifiers } from "../kernel/links/classifiers.ts";
import { detachPinned } from "../kernel/links/links.ts";
import { type Maps, openMaps } from "../kernel/typed-maps.ts";
import { OtherNamespaceError, PinsIncompleteError } from "./errors.ts";
import { removeIfEmpty } from "./state/empty-folder.ts";
import { acquireLock, removeLockFile, runningAgent } from "./state/lock.ts";
import { type AgentState, loadState, removeState, saveState } from "./state/state.ts";
import { ContainerIds } from "./tables/container-ids.ts";
import { forgetWorkloads } from "./tables/garbage.ts";
import { Instances } from "./tables/instances.ts";
import { WorkloadFacts } from "./tables/workload-facts.ts";

/** What was removed, for the user. */
export interface Removal {
  interfaces: string[];
  links: number;
  maps: number;
  state: boolean;
}

/** True if there was anything to remove. */
export function removedSomething({ interfaces, links, maps, state }: Removal): boolean {
  return interfaces.length > 0 || links > 0 || maps > 0 || state;
}

export const NOTHING_REMOVED: Removal = { interfaces: [], links: 0, maps: 0, state: false };

/**
 * Removes every trace of one installation: programs, pins, state.
 * @throws AgentRunningError; KernelError
 */
export function detachAll(pinRoot: string, stateDirectory: string): Removal {
  if (!existsSync(pinRoot) && !existsSync(stateDirectory)) return NOTHING_REMOVED;
  const lock = acquireLock(stateDirectory, pinRoot);
  try {
    refuseOtherNamespace(pinRoot, stateDirectory);
    const nameOf = interfaceNames(readStateIfGood(pinRoot, stateDirectory));
    const interfaces = guardedInterfaces(pinRoot, stateDirectory).filter((index) => detachClassifiers(pinRoot, index));
    const names = interfaces.map(nameOf);
    const links = listPins(join(pinRoot, "links")).filter((name) => detachPinned(join(pinRoot, "links", name))).length;
    const maps = listPins(pinRoot).filter((name) => name !== "links" && name !== "clsact").length;
    removePinFolder(pinRoot);
    const state = existsSync(join(stateDirectory, "state.json"));
    removeState(stateDirectory);
    removeLockFile(stateDirectory);
    return { interfaces: names, links, maps, state };
  } finally {
    lock.release();
    removeIfEmpty(stateDirectory);
  }
}

/**
 * Takes the programs off the interfaces of one workload.
 * @param matches tells the workload by what the state file has, or by the inode of its network namespace
 * @throws AgentRunningError; KernelError
 */
export function detachWorkload(
  pinRoot: string,
  stateDirectory: string,
  matches: { name: string; netnsInum: number | null },
): Removal {
  if (!existsSync(pinRoot)) return NOTHING_REMOVED;
  const lock = acquireLock(stateDirectory, pinRoot);
  try {
    using maps = openWhole(pinRoot);
    const state = readStateIfGood(pinRoot, stateDirectory);
    const nameOf = interfaceNames(state);
    const named = new Set(state?.workloads.filter(({ name }) => name === matches.name).map(({ id }) => id));
    const instances = new Instances(maps);
    const removed: string[] = [];
    for (const ifindex of instances.interfaces()) {
      const value = instances.current(ifindex);
      if (value === null || !(named.has(value.id) || value.netnsInum === matches.netnsInum)) continue;
      detachClassifiers(pinRoot, ifindex);
      instances.withdraw(ifindex);
      removed.push(nameOf(ifindex));
    }
    const values = instances.interfaces().flatMap((ifindex) => instances.current(ifindex) ?? []);
    const live = new Set(values.map(({ id }) => id));
    instances.keepNamespaces(new Set(values.map(({ netnsInum }) => netnsInum)));
    new WorkloadFacts(maps, new ContainerIds(state?.nameHashMultiplier ?? 0n)).keepWorkloads(live);
    forgetWorkloads(maps, live);
    if (state !== null) {
      saveState(stateDirectory, { ...state, workloads: state.workloads.filter(({ id }) => live.has(id)) });
    }
    return { ...NOTHING_REMOVED, interfaces: removed };
  } finally {
    lock.release();
  }
}

/** Pin roots that look like `prefix`* beside it, whose owners are dead: left by commands that were killed. */
export function deadPinRoots(folder: string, prefix: string, stateOf: (pinRoot: string) => string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(folder, name))
    .filter((root) => runningAgent(stateOf(root)) === null);
}

/** Filters of clsact are found by interface, in their own network namespace; links are found by their pins. */
function refuseOtherNamespace(pinRoot: string, stateDirectory: string): void {
  if (listPins(join(pinRoot, "clsact")).length === 0) return;
  const theirs = readStateIfGood(pinRoot, stateDirectory)?.netnsInum;
  const ours = ownNamespaceInum();
  if (theirs !== undefined && theirs !== ours) throw new OtherNamespaceError(pinRoot, theirs, ours);
}

/** All that we may have programs on; what cannot be read is passed over, the others still tell. */
function guardedInterfaces(pinRoot: string, stateDirectory: string): number[] {
  const found = new Set<number>();
  for (const name of listPins(join(pinRoot, "links"))) {
    const index = /^(?:from|to)_workload_(\d+)$/.exec(name)?.[1];
    if (index !== undefined) found.add(Number(index));
  }
  for (const name of listPins(join(pinRoot, "clsact"))) found.add(Number(name));
  for (const index of [...fromMaps(pinRoot), ...fromState(pinRoot, stateDirectory)]) found.add(index);
  return [...found];
}

function fromMaps(pinRoot: string): number[] {
  try {
    using maps = openMaps(pinRoot);
    return new Instances(maps).interfaces();
  } catch (cause) {
    if (isKernelError(cause, ERRNO.ENOENT) || causeCode(cause) === "PC_LAYOUT") return [];
    throw cause;
  }
}

function fromState(pinRoot: string, stateDirectory: string): number[] {
  const workloads = readStateIfGood(pinRoot, stateDirectory)?.workloads ?? [];
  return workloads.flatMap(({ interfaces }) => interfaces.map(({ ifindex }) => ifindex));
}

function readStateIfGood(pinRoot: string, stateDirectory: string): AgentState | null {
  try {
    return loadState(stateDirectory, pinRoot);
  } catch (cause) {
    if (causeCode(cause) === "PC_STATE_UNREADABLE") return null;
    throw cause;
  }
}

function openWhole(pinRoot: string): Maps {
  try {
    return openMaps(pinRoot);
  } catch (cause) {
    if (isKernelError(cause, ERRNO.ENOENT)) throw new PinsIncompleteError(pinRoot, { cause });
    throw cause;
  }
}

/** Numbers of interfaces mean something in the agent's network namespace only; from another one, names are those that the agent knew. */
function interfaceNames(state: AgentState | null): (ifindex: number) => string {
  const isHere = state === null || state.netnsInum === ownNamespaceInum();
  const here = new Map(isHere ? listInterfaces().map(({ index, name }) => [index, name] as const) : []);
  const known = new Map(
    (state?.workloads ?? []).flatMap(({ interfaces }) =>
      interfaces.map(({ ifindex, ifname }) => [ifindex, ifname] as const),
    ),
  );
  const where = isHere ? "" : ` of network namespace ${state?.netnsInum}`;
  return (ifindex) => `${here.get(ifindex) ?? known.get(ifindex) ?? `interface ${ifindex}`}${where}`;
}
