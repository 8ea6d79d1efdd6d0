/**
 * Links: programs in their places. A pinned link keeps its program attached while no agent runs; the next agent
 * finds the pin and puts its own program behind it, without a moment in which none is attached.
 */
import { closeSync, openSync, readFileSync, readSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import {
  iteratorCreate,
  linkCreate,
  linkDetach,
  linkUpdate,
  objectInfo,
  openPinIfThere,
  pinObject,
  rawTracepointOpen,
} from "../../ffi/bpf.ts";
import { ERRNO, isKernelError } from "../../ffi/errno.ts";
import { closeFd } from "../../ffi/libc.ts";
import { attachToProbe, openFunctionProbe } from "../../ffi/perf-events.ts";
import { ensurePinFolder, removePin } from "../bpffs.ts";
import { cgroupRoot } from "../mounts.ts";
import type { LoadedProgram } from "../objects.ts";
import { ObjectError } from "../objects.ts";
import { ATTACH_TYPE, PROGRAM_TYPE } from "../program-types.ts";

const CGROUP_TYPES: readonly number[] = [
  PROGRAM_TYPE.CGROUP_SKB,
  PROGRAM_TYPE.CGROUP_SOCK,
  PROGRAM_TYPE.SOCK_OPS,
  PROGRAM_TYPE.CGROUP_SOCK_ADDR,
];
const TRACING_HOOKS: readonly number[] = [ATTACH_TYPE.TRACE_RAW_TP, ATTACH_TYPE.TRACE_FENTRY, ATTACH_TYPE.TRACE_FEXIT];
const PERF_EVENT = 41;

/** What the kernel says of a link. */
export interface LinkInfo {
  id: number;
  /** enum bpf_link_type. */
  type: number;
  programId: number;
  /** Of TCX links: the interface, 0 if it is gone. Meaningless for others. */
  ifindex: number;
  /** Of TCX links: enum bpf_attach_type. */
  attachType: number;
  /** Of links to cgroups: the cgroup's id, 0 if it is gone. Meaningless for others. */
  cgroupId: bigint;
}

const LINK_INFO_SIZE = 48;

export function linkInfo(fd: number, label = `fd ${fd}`): LinkInfo {
  const info = objectInfo(fd, LINK_INFO_SIZE, `link ${label}`);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    programId: info.readUInt32LE(8),
    ifindex: info.readUInt32LE(16),
    attachType: info.readUInt32LE(20),
    cgroupId: info.readBigUInt64LE(16),
  };
}

/** An attached program. Closing it detaches, unless it is pinned. */
export class BpfLink implements Disposable {
  readonly fd: number;
  readonly name: string;
  /** Whether it can be pinned. Kprobes on kernels before 5.15 cannot: they go with the process that has them open. */
  readonly lasting: boolean;

  constructor(fd: number, name: string, lasting = true) {
    this.fd = fd;
    this.name = name;
    this.lasting = lasting;
  }

  info(): LinkInfo {
    return linkInfo(this.fd, this.name);
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /** Takes the program from its place now, even if the link is pinned (the pin is then an empty shell). */
  detach(): void {
    linkDetach(this.fd, this.name);
  }

  close(): void {
    closeFd(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Attaches a program to where its section says: cgroup hooks to a cgroup, raw tracepoints and tp_btf to their
 * tracepoint, LSM programs to their hook, kprobes, fentry and fexit to their function. TC programs: see classifiers.ts;
 * iterators: see `runIterator`.
 *
 * @param place for cgroup hooks a path in the cgroup v2 hierarchy (its root unless given), for kprobes a function (the
 *   section's unless given)
 * @throws KernelError; MountError without cgroup v2; ObjectError for other types of program
 */
export function attach(program: LoadedProgram, place?: string): BpfLink {
  const label = `program ${program.name} (${program.section})`;
  if (program.type === PROGRAM_TYPE.KPROBE) return attachFunctionProbe(program, place ?? nameInSection(program));
  return new BpfLink(attachFd(program, place, label), program.name);
}

function attachFd(program: LoadedProgram, place: string | undefined, label: string): number {
  if (CGROUP_TYPES.includes(program.type)) return attachToCgroup(program, place ?? cgroupRoot(), label);
  if (program.type === PROGRAM_TYPE.RAW_TRACEPOINT) {
    return rawTracepointOpen(nameInSection(program), program.fd, label);
  }
  // These carry in themselves what they were loaded for.
  if (program.type === PROGRAM_TYPE.LSM || isTracing(program)) return rawTracepointOpen(null, program.fd, label);
  throw new ObjectError(`${label} is of a type that is not attached by links`);
}

function isTracing({ type, attachType }: LoadedProgram): boolean {
  return type === PROGRAM_TYPE.TRACING && TRACING_HOOKS.includes(attachType);
}

const KPROBE_KIND = "/sys/bus/event_source/devices/kprobe/type";

/** A kprobe, or a kretprobe if the program's section says so. */
function attachFunctionProbe(program: LoadedProgram, functionName: string): BpfLink {
  const label = `program ${program.name} to ${functionName}`;
  const kind = Number(readFileSync(KPROBE_KIND, "utf8"));
  const probe = openFunctionProbe(kind, functionName, program.section.startsWith("kretprobe/"));
  try {
    const link = new BpfLink(linkCreate(program.fd, probe, PERF_EVENT, 0, label), program.name);
    closeFd(probe); // The link holds it.
    return link;
  } catch (error) {
    if (!isKernelError(error, ERRNO.EINVAL)) {
      closeFd(probe);
      throw error;
    }
    attachToProbe(probe, program.fd, label);
    return new BpfLink(probe, program.name, false);
  }
}

function attachToCgroup(program: LoadedProgram, path: string, label: string): number {
  const cgroup = openSync(path, "r");
  try {
    return linkCreate(program.fd, cgroup, program.attachType, 0, label);
  } finally {
    closeSync(cgroup);
  }
}

/** Id of a cgroup, as links and bpf_get_current_cgroup_id have it: its inode number. */
export function cgroupId(path: string): bigint {
  return statSync(path, { bigint: true }).ino;
}

/** `sched_process_exec` of `raw_tp/sched_process_exec`. */
function nameInSection(program: LoadedProgram): string {
  const name = program.section.split("/")[1];
  if (name === undefined || name === "") {
    throw new ObjectError(`section ${program.section} of program ${program.name} names nothing to attach to`);
  }
  return name;
}

/**
 * Attaches a program and pins its link at `path`; where a pinned link is there already, this program takes the place
 * of the one behind it. Cgroup links are replaced at one stroke. Tracing links cannot be: the new one is attached
 * before the old one goes, so that for an instant both run and no event is missed; so is it with a link to another
 * cgroup than the one that is wanted now. What cannot be pinned is attached all the same, see `BpfLink.lasting`.
 *
 * @param place as for `attach`
 * @returns the link; closing it leaves the program attached, if the link is a lasting one
 */
export function attachPinned(program: LoadedProgram, path: string, place?: string): BpfLink {
  ensurePinFolder(dirname(path));
  const fd = openPinIfThere(path);
  if (fd === null) return pinOrClose(attach(program, place), path);
  const old = new BpfLink(fd, program.name);
  if (isElsewhere(old, program, place)) {
    old.close();
    return replacePin(program, path, place);
  }
  try {
    linkUpdate(fd, program.fd, `the program behind ${path}`);
    return old;
  } catch (error) {
    old.close();
    if (!isKernelError(error, ERRNO.EINVAL, ERRNO.EOPNOTSUPP, ERRNO.ENOLINK)) throw error;
    return replacePin(program, path, place);
  }
}

function isElsewhere(link: BpfLink, program: LoadedProgram, place: string | undefined): boolean {
  if (place === undefined || !CGROUP_TYPES.includes(program.type)) return false;
  return link.info().cgroupId !== cgroupId(place);
}

function pinOrClose(link: BpfLink, path: string): BpfLink {
  if (!link.lasting) return link;
  try {
    link.pin(path);
    return link;
  } catch (error) {
    link.close();
    throw error;
  }
}

function replacePin(program: LoadedProgram, path: string, place: string | undefined): BpfLink {
  const temporary = `${path}_new`;
  removePin(temporary);
  const link = pinOrClose(attach(program, place), temporary);
  renameSync(temporary, path);
  return link;
}

/** Detaches what is pinned at `path` and removes the pin. @returns false if nothing was there */
export function detachPinned(path: string): boolean {
  const fd = openPinIfThere(path);
  if (fd === null) return false;
  try {
    linkDetach(fd, path);
  } catch (error) {
    // Tracing links have no detach; they go with their last reference.
    if (!isKernelError(error, ERRNO.EOPNOTSUPP, ERRNO.EINVAL)) throw error;
  } finally {
    closeFd(fd);
  }
  return removePin(path);
}

const READ_SIZE = 64 * 1024;

/**
 * Runs an iterator program over everything that it iterates over, once.
 * @returns what it wrote with bpf_seq_printf
 */
export function runIterator(program: LoadedProgram): string {
  const label = `iterator ${program.name}`;
  using link = new BpfLink(linkCreate(program.fd, 0, ATTACH_TYPE.TRACE_ITER, 0, label), program.name);
  const fd = iteratorCreate(link.fd, label);
  try {
    return readToEnd(fd);
  } finally {
    closeFd(fd);
  }
}

function readToEnd(fd: number): string {
  const parts: Buffer[] = [];
  for (;;) {
    const buffer = Buffer.alloc(READ_SIZE);
    const length = readIterator(fd, buffer);
    if (length === 0) return Buffer.concat(parts).toString("utf8");
    parts.push(buffer.subarray(0, length));
  }
}

/** A long iteration answers EAGAIN between its parts (it has looked at a million objects); that is not its end. */
function readIterator(fd: number, buffer: Buffer): number {
  for (;;) {
    try {
      return readSync(fd, buffer, 0, buffer.length, null);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}
