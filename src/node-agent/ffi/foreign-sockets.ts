/** Sockets of other processes: a descriptor of one's own for them, and what the kernel says of them. */
import { fstatSync } from "node:fs";
import koffi from "koffi";
import { ERRNO, KernelError } from "./errno.ts";
import { closeFd } from "./libc.ts";
import { Library } from "./library.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");

const native = {
  // Declared with the arguments that these system calls have: libc has no functions for them before 2.36.
  syscall: libc.declare<(number: number, first: number, second: number, flags: number) => number>(
    "long syscall(long number, int first, int second, uint flags)",
  ),
  ioctl: libc.declare<(fd: number, request: number) => number>("int ioctl(int fd, ulong request)"),
  getsockopt: libc.declare<
    (fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array) => number
  >("int getsockopt(int fd, int level, int option, void *value, void *length)"),
  getsockname: libc.declare<(fd: number, address: Uint8Array, length: Uint8Array) => number>(
    "int getsockname(int fd, void *address, void *length)",
  ),
  getpeername: libc.declare<(fd: number, address: Uint8Array, length: Uint8Array) => number>(
    "int getpeername(int fd, void *address, void *length)",
  ),
};

/** asm-generic/unistd.h; the same on x86-64 and arm64. */
const SYSCALL = { pidfd_open: 434, pidfd_getfd: 438 } as const;

/** A process behind a descriptor: it cannot be mistaken for another that gets its number. Close it with `closeFd`. */
export function openProcess(pid: number): number | null {
  return unlessGone(native.syscall(SYSCALL.pidfd_open, pid, 0, 0), "open", `process ${pid}`);
}

/** A descriptor of this process for what `fd` is in the other; null if it is not open there any more. */
export function takeDescriptor(process: number, fd: number): number | null {
  return unlessGone(native.syscall(SYSCALL.pidfd_getfd, process, fd, 0), "take", `descriptor ${fd} of a process`);
}

/** EINVAL: the number is a thread's by now. */
const GONE: readonly number[] = [ERRNO.ESRCH, ERRNO.EBADF, ERRNO.EINVAL];

function unlessGone(result: number, operation: string, object: string): number | null {
  if (result >= 0) return result;
  const errno = koffi.errno();
  if (GONE.includes(errno)) return null;
  throw new KernelError({ operation, object, errno });
}

/** What there is to know of a socket from outside. */
export interface SocketDescription {
  /** AF_*. */
  family: number;
  /** IPPROTO_*. */
  protocol: number;
  /** listen(2) was called on it. */
  listens: boolean;
  /** It has a peer. */
  connected: boolean;
  /** Host order; 0 if it has none. */
  localPort: number;
  /** Inode number of its network namespace. */
  netnsInum: number;
}

const SOL_SOCKET = 1;
/** asm-generic/socket.h. */
const OPTION = { SO_ACCEPTCONN: 30, SO_PROTOCOL: 38, SO_DOMAIN: 39 } as const;
const INTERNET: readonly number[] = [2, 10];
/** sizeof(struct sockaddr_in6); the port is at 2 in sockaddr_in as well. */
const ADDRESS_SIZE = 28;

/** Describes an IPv4 or IPv6 socket; null for any other, and for what is no socket. */
export function describeInternetSocket(fd: number): SocketDescription | null {
  const family = socketOption(fd, OPTION.SO_DOMAIN);
  if (family === null || !INTERNET.includes(family)) return null;
  const address = Buffer.alloc(ADDRESS_SIZE);
  const named = native.getsockname(fd, address, lengthOf(address)) === 0;
  return {
    family,
    protocol: socketOption(fd, OPTION.SO_PROTOCOL) ?? 0,
    listens: socketOption(fd, OPTION.SO_ACCEPTCONN) === 1,
    connected: native.getpeername(fd, Buffer.alloc(ADDRESS_SIZE), lengthOf(address)) === 0,
    localPort: named ? address.readUInt16BE(2) : 0,
    netnsInum: namespaceOf(fd),
  };
}

function lengthOf(buffer: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(buffer.length);
  return length;
}

function socketOption(fd: number, option: number): number | null {
  const value = Buffer.alloc(4);
  if (native.getsockopt(fd, SOL_SOCKET, option, value, lengthOf(value)) === 0) return value.readInt32LE();
  const errno = koffi.errno();
  if (errno === ERRNO.ENOTSOCK || errno === ERRNO.EOPNOTSUPP) return null;
  throw new KernelError({ operation: "read", object: `option ${option} of a socket`, errno });
}

/** linux/sockios.h. */
const SIOCGSKNS = 0x894c;

function namespaceOf(fd: number): number {
  const namespace = native.ioctl(fd, SIOCGSKNS);
  if (namespace < 0) throw new KernelError({ operation: "find", object: "a socket's namespace", errno: koffi.errno() });
  try {
    return fstatSync(namespace).ino;
  } finally {
    closeFd(namespace);
  }
}
