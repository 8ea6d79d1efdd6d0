/** Sockets of kinds that Node does not have, and what the kernel tells of one. */
import koffi from "koffi";
import { ERRNO, KernelError } from "./errno.ts";
import { closeFd } from "./libc.ts";
import { Library } from "./library.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");

const native = {
  socket: libc.declare<(family: number, type: number, protocol: number) => number>(
    "int socket(int family, int type, int protocol)",
  ),
  bind: libc.declare<(fd: number, address: Uint8Array, length: number) => number>(
    "int bind(int fd, const void *address, uint length)",
  ),
  send: libc.declare<(fd: number, data: Uint8Array, length: number, flags: number) => number>(
    "long send(int fd, const void *data, size_t length, int flags)",
  ),
  getsockopt: libc.declare<
    (fd: number, level: number, option: number, value: Uint8Array, length: Uint8Array) => number
  >("int getsockopt(int fd, int level, int option, void *value, void *length)"),
  recv: libc.declare<(fd: number, data: Uint8Array, length: number, flags: number) => number>(
    "long recv(int fd, void *data, size_t length, int flags)",
  ),
};

const AF_INET = 2;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_ROUTE = 0;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;

/** rtnetlink multicast groups (linux/rtnetlink.h), as bits for `openRouteSocket`. */
export const ROUTE_GROUP = { LINK: 1, IPV4_ADDRESS: 0x10, IPV6_ADDRESS: 0x100 } as const;

/** Opens an rtnetlink socket in the thread's network namespace. @param groups bits of `ROUTE_GROUP` */
export function openRouteSocket(groups = 0): number {
  const fd = native.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) throw new KernelError({ operation: "open", object: "an rtnetlink socket", errno: koffi.errno() });
  const address = Buffer.alloc(12);
  address.writeUInt16LE(AF_NETLINK, 0);
  address.writeUInt32LE(groups, 8);
  if (native.bind(fd, address, address.length) < 0) {
    const errno = koffi.errno();
    closeFd(fd);
    throw new KernelError({ operation: "bind", object: "an rtnetlink socket", errno });
  }
  return fd;
}

const SOL_SOCKET = 1;
/** asm-generic/socket.h; since 5.14. */
const SO_NETNS_COOKIE = 71;

/**
 * The cookie of the thread's network namespace: a number that no other one has had or will have.
 *
 * @param otherwise tells it of a socket in there, on kernels that do not
 * @throws KernelError
 */
export function networkNamespaceCookie(otherwise: (socket: number) => bigint): bigint {
  const fd = native.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new KernelError({ operation: "open", object: "a UDP socket", errno: koffi.errno() });
  try {
    const value = Buffer.alloc(8);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(value.length);
    if (native.getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, length) === 0) return value.readBigUInt64LE();
    const errno = koffi.errno();
    if (errno === ERRNO.ENOPROTOOPT) return otherwise(fd);
    throw new KernelError({ operation: "read", object: "the cookie of the network namespace", errno });
  } finally {
    closeFd(fd);
  }
}

/** Sends one datagram. */
export function sendMessage(fd: number, data: Uint8Array): void {
  if (native.send(fd, data, data.length, 0) < 0) {
    throw new KernelError({ operation: "send on", object: `socket ${fd}`, errno: koffi.errno() });
  }
}

/**
 * Receives one datagram into `buffer`.
 *
 * @param wait false: return null at once if there is none
 * @throws KernelError also for a datagram longer than `buffer` (E2BIG) and for lost messages (ENOBUFS)
 */
export function receiveMessage(fd: number, buffer: Buffer, wait: boolean): Buffer | null {
  for (;;) {
    const length = native.recv(fd, buffer, buffer.length, MSG_TRUNC | (wait ? 0 : MSG_DONTWAIT));
    if (length > buffer.length) {
      throw new KernelError({ operation: "receive on", object: `socket ${fd}`, errno: ERRNO.E2BIG });
    }
    if (length >= 0) return buffer.subarray(0, length);
    const errno = koffi.errno();
    if (errno === ERRNO.EINTR) continue;
    if (errno === ERRNO.EAGAIN && !wait) return null;
    throw new KernelError({ operation: "receive on", object: `socket ${fd}`, errno });
  }
}
