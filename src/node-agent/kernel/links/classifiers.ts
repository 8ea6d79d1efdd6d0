/**
 * The two classifiers on a workload's host-side interface: `from_workload` where packets come in from it, `to_workload`
 * where they go out to it. By TCX links, pinned, where the kernel has TCX; else as filters of clsact. Both stay when
 * the agent is gone, are replaced at one stroke, and run before the programs of others: a program that accepts a
 * packet ends the list, and none shall do so before ours has judged it. (Ours never accept: they pass on or drop.)
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { linkCreate, linkUpdate, openPinIfThere, queryPrograms } from "../../ffi/bpf.ts";
import { ERRNO, isKernelError, KernelError } from "../../ffi/errno.ts";
import { closeFd, listInterfaces } from "../../ffi/libc.ts";
import type { TcHook } from "../../ffi/traffic-control.ts";
import { attachFilter, createClsact, destroyClsact, detachFilter, TC_HOOK } from "../../ffi/traffic-control.ts";
import { ensurePinFolder, listPins, removePin, removePinFolder } from "../bpffs.ts";
import { ATTACH_TYPE } from "../program-types.ts";
import { BpfLink, detachPinned, linkInfo } from "./links.ts";
import type { TcFilter } from "./tc-filters.ts";
import { listFilters } from "./tc-filters.ts";
import { hasTcx } from "./tcx.ts";

export type ClassifierMode = "tcx" | "clsact";

/** File descriptors of the loaded programs. */
export interface ClassifierPrograms {
  fromWorkload: number;
  toWorkload: number;
}

/** An interface that has classifiers of ours. `complete`: on both of its hooks. */
export interface AttachedInterface {
  ifindex: number;
  mode: ClassifierMode;
  complete: boolean;
}

interface Hook {
  name: "from_workload" | "to_workload";
  tc: TcHook;
  tcx: number;
  program: keyof ClassifierPrograms;
}

/** What the container sends comes in at the host's end of the pair. */
const HOOKS: readonly Hook[] = [
  { name: "from_workload", tc: TC_HOOK.INGRESS, tcx: ATTACH_TYPE.TCX_INGRESS, program: "fromWorkload" },
  { name: "to_workload", tc: TC_HOOK.EGRESS, tcx: ATTACH_TYPE.TCX_EGRESS, program: "toWorkload" },
];

/** BPF_F_BEFORE: without a program named to be before, at the head of the list. */
const FLAG_BEFORE = 8;

/** "PORT" in ASCII: tells our filters from those of others, which are numbered from 1. */
const FILTER_HANDLE = 0x504f5254;
const ETH_P_ALL = 3;

/** TCX where the kernel has it. */
export function classifierMode(): ClassifierMode {
  return hasTcx() ? "tcx" : "clsact";
}

/**
 * Attaches both classifiers to an interface, or puts these programs in the place of those that are there.
 *
 * @param pinRoot folder in a BPF file system; links are pinned in `links/` under it
 * @throws KernelError, ENODEV if the interface is gone; nothing stays half attached that was not there before
 */
export function attachClassifiers(
  pinRoot: string,
  ifindex: number,
  programs: ClassifierPrograms,
  mode: ClassifierMode = classifierMode(),
): void {
  const before = hooksOn(pinRoot, ifindex).length > 0;
  try {
    if (mode === "clsact") prepareClsact(pinRoot, ifindex);
    for (const hook of HOOKS) {
      if (mode === "tcx") attachTcx(pinRoot, ifindex, hook, programs[hook.program]);
      else attachClsact(ifindex, hook, programs[hook.program]);
    }
  } catch (error) {
    if (!before) detachClassifiers(pinRoot, ifindex);
    throw error;
  }
}

/** Takes both classifiers from an interface, and pins of interfaces that are gone. @returns false if none was there */
export function detachClassifiers(pinRoot: string, ifindex: number): boolean {
  let found = false;
  for (const hook of HOOKS) {
    if (detachPinned(linkPin(pinRoot, hook, ifindex))) found = true;
    const ours = findOurs(listFilters(ifindex, hook.tc));
    if (ours === undefined) continue;
    const { priority, handle } = ours;
    if (detachFilter({ ifindex, hook: hook.tc, priority, handle })) found = true;
  }
  removeOwnClsact(pinRoot, ifindex);
  return found;
}

/** All interfaces of this network namespace with classifiers of ours. Removes the pins of interfaces that are gone. */
export function listClassifiers(pinRoot: string): AttachedInterface[] {
  removeDeadPins(pinRoot);
  return listInterfaces().flatMap(({ index }) => {
    const modes = hooksOn(pinRoot, index);
    const [mode] = modes;
    return mode === undefined ? [] : [{ ifindex: index, mode, complete: modes.length >= HOOKS.length }];
  });
}

/** The mode of each hook of an interface that has a classifier of ours. */
function hooksOn(pinRoot: string, ifindex: number): ClassifierMode[] {
  return HOOKS.flatMap((hook): ClassifierMode[] => {
    if (hasLiveLink(pinRoot, hook, ifindex)) return ["tcx"];
    return findOurs(listFilters(ifindex, hook.tc)) === undefined ? [] : ["clsact"];
  });
}

// ------------------------------------------------------------------------------------------------------------ TCX

const LINK_FOLDER = "links";

function linkPin(pinRoot: string, hook: Hook, ifindex: number): string {
  return join(pinRoot, LINK_FOLDER, `${hook.name}_${ifindex}`);
}

function attachTcx(pinRoot: string, ifindex: number, hook: Hook, program: number): void {
  const path = linkPin(pinRoot, hook, ifindex);
  if (hasLiveLink(pinRoot, hook, ifindex)) {
    replaceBehind(path, program);
    return;
  }
  detachPinned(path);
  ensurePinFolder(join(pinRoot, LINK_FOLDER));
  const label = `${hook.name} to interface ${ifindex}`;
  using link = new BpfLink(linkCreate(program, ifindex, hook.tcx, FLAG_BEFORE, label), hook.name);
  link.pin(path);
}

function replaceBehind(path: string, program: number): void {
  const fd = openPinIfThere(path);
  if (fd === null) throw new KernelError({ operation: "replace", object: path, errno: ERRNO.ENOENT });
  try {
    linkUpdate(fd, program, path);
  } finally {
    closeFd(fd);
  }
}

/**
 * Whether the pinned link is on this very interface. A link outlives its interface as an empty shell, and a number
 * may be used again; an interface may also be in another network namespace by now, and its number be another's here.
 */
function hasLiveLink(pinRoot: string, hook: Hook, ifindex: number): boolean {
  const path = linkPin(pinRoot, hook, ifindex);
  const fd = openPinIfThere(path);
  if (fd === null) return false;
  try {
    const info = linkInfo(fd, path);
    return info.ifindex === ifindex && queryTcx(ifindex, hook.tcx).includes(info.programId);
  } finally {
    closeFd(fd);
  }
}

function queryTcx(ifindex: number, attachType: number): number[] {
  try {
    return queryPrograms(ifindex, attachType, `interface ${ifindex}`);
  } catch (error) {
    if (isKernelError(error, ERRNO.ENODEV, ERRNO.ENOENT, ERRNO.EINVAL)) return [];
    throw error;
  }
}

function removeDeadPins(pinRoot: string): void {
  const folder = join(pinRoot, LINK_FOLDER);
  for (const name of listPins(folder)) {
    const number = /^(?:from|to)_workload_(\d+)$/.exec(name)?.[1];
    const path = join(folder, name);
    if (number === undefined) continue;
    const fd = openPinIfThere(path);
    if (fd === null) continue;
    const gone = linkInfo(fd, path).ifindex === 0;
    closeFd(fd);
    if (gone) removePin(path);
  }
}

// --------------------------------------------------------------------------------------------------------- clsact

/** A folder per interface whose clsact is ours: BPF file systems hold folders, and lose them when the node restarts. */
function clsactMark(pinRoot: string, ifindex: number): string {
  return join(pinRoot, "clsact", String(ifindex));
}

function prepareClsact(pinRoot: string, ifindex: number): void {
  if (!createClsact(ifindex)) return;
  ensurePinFolder(pinRoot);
  mkdirSync(clsactMark(pinRoot, ifindex), { recursive: true, mode: 0o700 });
}

function attachClsact(ifindex: number, hook: Hook, program: number): void {
  const filters = listFilters(ifindex, hook.tc);
  const priority = findOurs(filters)?.priority ?? freePriority(filters);
  attachFilter({ ifindex, hook: hook.tc, priority, handle: FILTER_HANDLE }, program);
}

/**
 * The first priority, so that ours runs before all others; within it, the newest BPF filter runs first. Filters of
 * one priority are of one kind and protocol: where others hold it with something else, the next one.
 */
function freePriority(filters: readonly TcFilter[]): number {
  for (let priority = 1; ; priority += 1) {
    const others = filters.filter((filter) => filter.priority === priority);
    if (others.every(({ kind, protocol }) => kind === "bpf" && protocol === ETH_P_ALL)) return priority;
  }
}

function findOurs(filters: readonly TcFilter[]): TcFilter | undefined {
  return filters.find(({ kind, handle }) => kind === "bpf" && handle === FILTER_HANDLE);
}

/** Removes the clsact that was made here, once nobody's filter is on it any more. */
function removeOwnClsact(pinRoot: string, ifindex: number): void {
  const mark = clsactMark(pinRoot, ifindex);
  if (!listPins(join(pinRoot, "clsact")).includes(String(ifindex))) return;
  if (HOOKS.every((hook) => listFilters(ifindex, hook.tc).length === 0)) destroyClsact(ifindex);
  removePinFolder(mark);
}
