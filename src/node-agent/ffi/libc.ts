/** The system calls that Node has no function for. Each throws a `KernelError`; see the manual page of its name. */
import { flushCompileCache } from "node:module";
import koffi from "koffi";
import { KernelError } from "./errno.ts";
import { Library } from "./library.ts";
import type { Pointer } from "./memory.ts";
import { readText } from "./memory.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");

const native = {
  close: libc.declare<(fd: number) => number>("int close(int fd)"),
  _exit: libc.declare<(status: number) => void>("void _exit(int status)"),
  malloc_trim: libc.declare<(pad: number) => number>("int malloc_trim(size_t pad)"),
  mmap: libc.declare<
    (a: null, length: number, protection: number, flags: number, fd: number, offset: number) => Pointer | null
  >("void *mmap(void *addr, size_t length, int prot, int flags, int fd, int64_t offset)"),
  munmap: libc.declare<(address: Pointer, length: number) => number>("int munmap(void *addr, size_t length)"),
  getpagesize: libc.declare<() => number>("int getpagesize()"),
  setns: libc.declare<(fd: number, type: number) => number>("int setns(int fd, int nstype)"),
  unshare: libc.declare<(flags: number) => number>("int unshare(int flags)"),
  mount: libc.declare<(source: string, target: string, type: string, flags: number, data: string | null) => number>(
    "int mount(const char *source, const char *target, const char *type, ulong flags, const char *data)",
  ),
  umount2: libc.declare<(target: string, flags: number) => number>("int umount2(const char *target, int flags)"),
  clock_gettime: libc.declare<(clock: number, time: Uint8Array) => number>("int clock_gettime(int clock, void *time)"),
  if_nametoindex: libc.declare<(name: string) => number>("uint if_nametoindex(const char *name)"),
  if_indextoname: libc.declare<(index: number, name: Uint8Array) => Pointer | null>(
    "void *if_indextoname(uint index, void *name)",
  ),
  if_nameindex: libc.declare<() => Pointer | null>("void *if_nameindex()"),
  if_freenameindex: libc.declare<(list: Pointer) => void>("void if_freenameindex(void *list)"),
};

/** Throws if a call returned -1. */
function check(result: number, operation: string, object: string): number {
  if (result < 0) throw new KernelError({ operation, object, errno: koffi.errno() });
  return result;
}

/**
 * Ends this process at once, with nothing that Node does at the end: there it waits for its compiler's threads, now and then
 * for ever (https://github.com/nodejs/node/issues/54918). What has to be written must have been.
 */
export function exitNow(status: number): never {
  flushCompileCache();
  native._exit(status);
  return process.exit(status);
}

/** Gives memory that native code (libbpf) has freed back to the system; glibc keeps it otherwise. */
export function trimMemory(): void {
  native.malloc_trim(0);
}

/** Closes a file descriptor that came from the kernel side (not one of Node's own). */
export function closeFd(fd: number): void {
  check(native.close(fd), "close", `file descriptor ${fd}`);
}

export const PROT_READ = 1;
export const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_FAILED = 0xffffffffffffffffn;

/** Maps `length` bytes of `fd` from `offset`, shared. */
export function mapMemory(fd: number, offset: number, length: number, protection: number): Pointer {
  const address = native.mmap(null, length, protection, MAP_SHARED, fd, offset);
  if (address === null || BigInt.asUintN(64, address) === MAP_FAILED) {
    throw new KernelError({ operation: "map", object: `${length} bytes of fd ${fd}`, errno: koffi.errno() });
  }
  return address;
}

/** Undoes `mapMemory`. Every view of it must be detached before. */
export function unmapMemory(address: Pointer, length: number): void {
  check(native.munmap(address, length), "unmap", `${length} bytes`);
}

/** Bytes per page. */
export function pageSize(): number {
  return native.getpagesize();
}

/** <linux/sched.h> */
const CLONE_NEWNET = 0x40000000;
const CLONE_NEWPID = 0x20000000;

/**
 * Moves the calling thread into the network namespace behind `fd`. Everything that depends on it has to be done in
 * the same tick, and the thread moved back: other code must never run in a foreign namespace. See `inNamespace`.
 */
export function setNetworkNamespace(fd: number): void {
  check(native.setns(fd, CLONE_NEWNET), "enter", "the network namespace");
}

/** Moves the calling thread into a network namespace of its own, new and empty. */
export function unshareNetworkNamespace(): void {
  check(native.unshare(CLONE_NEWNET), "create", "a network namespace");
}

/** Has the children of the calling thread begin in the PID namespace behind `fd`. The thread itself stays where it is. */
export function setPidNamespaceOfChildren(fd: number): void {
  check(native.setns(fd, CLONE_NEWPID), "enter", "the PID namespace");
}

/** Has the children of the calling thread begin in a PID namespace of their own, whose first process is the next one. */
export function unsharePidNamespaceOfChildren(): void {
  check(native.unshare(CLONE_NEWPID), "create", "a PID namespace");
}

/** mount(2) without flags. */
export function mountFileSystem(source: string, target: string, type: string, data: string | null = null): void {
  check(native.mount(source, target, type, 0, data), "mount", `${type} on ${target}`);
}

/** umount2(2). */
export function unmountFileSystem(target: string): void {
  check(native.umount2(target, 0), "unmount", target);
}

/** Clocks of clock_gettime(2). */
export const CLOCK = { REALTIME: 0, MONOTONIC: 1, BOOTTIME: 7 } as const;

/** Nanoseconds on a clock. */
export function readClock(clock: (typeof CLOCK)[keyof typeof CLOCK]): bigint {
  const time = Buffer.alloc(16);
  check(native.clock_gettime(clock, time), "read", `clock ${clock}`);
  return time.readBigInt64LE(0) * 1_000_000_000n + time.readBigInt64LE(8);
}

/** Index of an interface in the thread's network namespace, null if there is none of that name. */
export function interfaceIndex(name: string): number | null {
  const index = native.if_nametoindex(name);
  return index === 0 ? null : index;
}

const IF_NAMESIZE = 16;

/** Name of an interface in the thread's network namespace, null if there is no such index. */
export function interfaceName(index: number): string | null {
  const name = Buffer.alloc(IF_NAMESIZE);
  if (native.if_indextoname(index, name) === null) return null;
  return name.toString("utf8", 0, name.indexOf(0));
}

export interface NetworkInterface {
  index: number;
  name: string;
}

/** All interfaces of the thread's network namespace, up or down. */
export function listInterfaces(): NetworkInterface[] {
  const list = native.if_nameindex();
  if (list === null) throw new KernelError({ operation: "list", object: "the interfaces", errno: koffi.errno() });
  try {
    return readNameIndex(list);
  } finally {
    native.if_freenameindex(list);
  }
}

/** `struct if_nameindex` (net/if.h): u32 index, pointer to the name at 8; ends with index 0. */
function readNameIndex(list: Pointer): NetworkInterface[] {
  const interfaces: NetworkInterface[] = [];
  for (let entry = list; ; entry = (entry + 16n) as Pointer) {
    const index = koffi.decode.uint32(entry);
    if (index === 0) return interfaces;
    const name = koffi.decode(entry, 8, "void *") as Pointer | null;
    interfaces.push({ index, name: readText(name) });
  }
}
