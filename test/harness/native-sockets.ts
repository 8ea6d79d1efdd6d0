/** Sockets as the kernel has them, and options that Node does not know: socket(2), ip(7), udp(7), packet(7). All are non-blocking. */
// biome-ignore lint/style/noRestrictedImports: the product opens no such sockets, so that these functions have no place in its own folder
import koffi from "koffi";
import { KernelError } from "../../src/node-agent/ffi/errno.ts";
import { addressBytes, macBytes } from "../packets/bytes.ts";

const libc = koffi.load("libc.so.6");
const native = {
  socket: libc.func("int socket(int family, int type, int protocol)"),
  bind: libc.func("int bind(int fd, const void *address, uint length)"),
  connect: libc.func("int connect(int fd, const void *address, uint length)"),
  listen: libc.func("int listen(int fd, int backlog)"),
  accept: libc.func("int accept4(int fd, void *address, void *length, int flags)"),
  setsockopt: libc.func("int setsockopt(int fd, int level, int option, const void *value, uint length)"),
  getsockopt: libc.func("int getsockopt(int fd, int level, int option, void *value, void *length)"),
  sendto: libc.func("long sendto(int fd, const void *data, size_t length, int flags, const void *to, uint toLength)"),
  recv: libc.func("long recv(int fd, void *data, size_t length, int flags)"),
};

export const AF = { inet: 2, inet6: 10, packet: 17 } as const;
export const SOCK = { stream: 1, datagram: 2, raw: 3 } as const;
/** Level and name. */
export const OPTION = {
  reuseAddress: [1, 2],
  linger: [1, 13],
  headerIncluded: [0, 3],
  joinGroup: [0, 35],
  onlyIpv6: [41, 26],
  joinGroup6: [41, 20],
  udpSegment: [17, 103],
  vnetHeader: [263, 15],
  ignoreOutgoing: [263, 23],
} as const;
const TCP_INFO = [6, 11] as const;
/** struct tcp_info, linux/tcp.h. */
const TCP_INFO_SIZE = 256;
const BYTES_ACKED = 120;
const BYTES_RECEIVED = 128;

const NONBLOCKING = 0o4000 | 0o2000000;
const MSG_DONTWAIT = 0x40;
const EVERY_PROTOCOL = 0x0003;

export function openSocket(family: number, type: number, protocol: number): number {
  return checked(native.socket(family, type | NONBLOCKING, protocol), "open", "a socket");
}

/** @returns false if the address is taken */
export function bindTo(fd: number, address: Buffer): boolean {
  return native.bind(fd, address, address.length) === 0;
}

/** Begins to connect. */
export function connectTo(fd: number, address: Buffer): void {
  native.connect(fd, address, address.length);
}

export function startListening(fd: number): void {
  checked(native.listen(fd, 16), "listen on", `socket ${fd}`);
}

/** The next connection that is complete, or null. */
export function acceptFrom(fd: number): number | null {
  const accepted = native.accept(fd, null, null, NONBLOCKING) as number;
  return accepted < 0 ? null : accepted;
}

/** @returns whether the kernel took it */
export function setOption(fd: number, [level, name]: readonly [number, number], value: number | Buffer): boolean {
  const bytes = typeof value === "number" ? word32(value) : value;
  return native.setsockopt(fd, level, name, bytes, bytes.length) === 0;
}

/** @returns whether it was sent, or is on its way */
export function sendTo(fd: number, data: Uint8Array, to: Buffer | null): boolean {
  return native.sendto(fd, data, data.length, MSG_DONTWAIT, to, to?.length ?? 0) >= 0;
}

/** What is there, or null. */
export function receiveFrom(fd: number, buffer: Buffer): Buffer | null {
  const length = native.recv(fd, buffer, buffer.length, MSG_DONTWAIT) as number;
  return length < 0 ? null : buffer.subarray(0, length);
}

/** Bytes of a connection that its peer has acknowledged, and that have come from it. */
export function countBytes(fd: number): { acknowledged: number; received: number } {
  const info = Buffer.alloc(TCP_INFO_SIZE);
  checked(native.getsockopt(fd, ...TCP_INFO, info, word32(info.length)), "read the state of", `socket ${fd}`);
  return {
    acknowledged: Number(info.readBigUInt64LE(BYTES_ACKED)),
    received: Number(info.readBigUInt64LE(BYTES_RECEIVED)),
  };
}

/** struct sockaddr_in or sockaddr_in6. */
export function internetAddress(address: string, port: number): Buffer {
  const isIpv6 = address.includes(":");
  const bytes = Buffer.alloc(isIpv6 ? 28 : 16);
  bytes.writeUInt16LE(isIpv6 ? AF.inet6 : AF.inet, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(addressBytes(address), isIpv6 ? 8 : 4);
  return bytes;
}

/** struct sockaddr_ll: every frame of an interface. */
export function linkAddress(ifindex: number, mac: string): Buffer {
  const bytes = Buffer.alloc(20);
  bytes.writeUInt16LE(AF.packet, 0);
  bytes.writeUInt16BE(EVERY_PROTOCOL, 2);
  bytes.writeInt32LE(ifindex, 4);
  bytes[11] = 6;
  bytes.set(macBytes(mac), 12);
  return bytes;
}

/** struct ip_mreqn or ipv6_mreq. */
export function groupOn(group: string, ifindex: number): Buffer {
  const isIpv6 = group.includes(":");
  const bytes = Buffer.alloc(isIpv6 ? 20 : 12);
  bytes.set(addressBytes(group), 0);
  bytes.writeInt32LE(ifindex, isIpv6 ? 16 : 8);
  return bytes;
}

function word32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function checked(result: number, operation: string, object: string): number {
  if (result < 0) throw new KernelError({ operation, object, errno: koffi.errno() });
  return result;
}
