/** Talking rtnetlink: requests with their answers, and notice that something has changed. */
import { closeSync, openSync } from "node:fs";
import { ERRNO, errnoName, isKernelError, KernelError } from "../ffi/errno.ts";
import { closeFd } from "../ffi/libc.ts";
import { inNetworkNamespace } from "../ffi/namespaces.ts";
import { openRouteSocket, receiveMessage, sendMessage } from "../ffi/sockets.ts";
import { WorkloadError } from "./errors.ts";
import { decodeMessages, encodeMessage, MESSAGE_FLAG, MESSAGE_TYPE, type NetlinkMessage } from "./message.ts";

/** Dumps come in datagrams of at most 32 KiB (NLMSG_GOODSIZE and netlink_dump's own limit). */
const DATAGRAM_MAX = 65536;
/** How often a dump is begun again because the list changed under it. */
const DUMP_ATTEMPTS = 10;

const buffer = Buffer.alloc(DATAGRAM_MAX);

/** Opens a route socket in the caller's network namespace, or in the one at `netnsPath`. */
function openSocket(netnsPath: string | null, groups: number): number {
  if (netnsPath === null) return openRouteSocket(groups);
  const namespace = openSync(netnsPath, "r");
  try {
    return inNetworkNamespace(namespace, () => openRouteSocket(groups));
  } finally {
    closeSync(namespace);
  }
}

/**
 * Requests to the kernel about one network namespace: that of the thread, or the one at a path. The namespace stays
 * alive until `close`. Everything is synchronous: the kernel has answered by the time that the request is sent.
 */
export class RouteConnection implements Disposable {
  readonly #fd: number;
  #sequence = 0;
  #closed = false;

  /** @throws KernelError, or Node's own error where `netnsPath` cannot be opened. */
  constructor(netnsPath: string | null = null) {
    this.#fd = openSocket(netnsPath, 0);
  }

  /**
   * Asks for a change, or for one object.
   *
   * @param payload the type's fixed struct and attributes
   * @param subject what it is about, for the error: "link eth0"
   * @returns the payload of the answer, null where the kernel only acknowledged
   * @throws KernelError with the kernel's errno
   */
  request(type: number, flags: number, payload: readonly Buffer[], subject: string): Buffer | null {
    const answers = this.#exchange(type, flags | MESSAGE_FLAG.ACK, payload, subject);
    return answers[0]?.payload ?? null;
  }

  /** Asks for the whole list of a kind; the payloads of the answers. @throws KernelError */
  dump(type: number, payload: readonly Buffer[], subject: string): Buffer[] {
    for (let attempt = 0; attempt < DUMP_ATTEMPTS; attempt += 1) {
      const answers = this.#exchange(type, MESSAGE_FLAG.DUMP, payload, subject);
      const whole = answers.every((answer) => (answer.flags & MESSAGE_FLAG.DUMP_INTERRUPTED) === 0);
      if (whole) return answers.filter(({ type }) => type !== MESSAGE_TYPE.DONE).map((answer) => answer.payload);
    }
    throw new KernelError({ operation: "list", object: subject, errno: ERRNO.EAGAIN, detail: "it keeps changing" });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #exchange(type: number, flags: number, payload: readonly Buffer[], subject: string): NetlinkMessage[] {
    this.#sequence += 1;
    sendMessage(this.#fd, encodeMessage(type, flags | MESSAGE_FLAG.REQUEST, this.#sequence, payload));
    const answers: NetlinkMessage[] = [];
    for (;;) {
      const datagram = receiveMessage(this.#fd, buffer, false);
      if (datagram === null) throw new WorkloadError("PC_NETLINK", `the kernel did not answer about ${subject}`);
      // The buffer is used again for the next datagram.
      for (const message of decodeMessages(Buffer.from(datagram))) {
        if (message.sequence !== this.#sequence) continue;
        if (message.type === MESSAGE_TYPE.ERROR) {
          throwRefusal(message.payload, subject);
          return answers;
        }
        answers.push(message);
        if (message.type === MESSAGE_TYPE.DONE) return answers;
      }
    }
  }
}

/** struct nlmsgerr: begins with the negative errno; 0 is an acknowledgement. */
function throwRefusal(payload: Buffer, subject: string): void {
  const errno = -payload.readInt32LE(0);
  if (errno === 0) return;
  throw new KernelError({
    operation: "configure",
    object: subject,
    errno,
    detail: `the kernel's answer over rtnetlink was ${errnoName(errno)}`,
  });
}

/** Notices changes of links or addresses in a network namespace, without looking at what they are. */
export class RouteWatch implements Disposable {
  readonly #fd: number;
  #closed = false;

  /** @param groups bits of `ROUTE_GROUP` @throws KernelError */
  constructor(netnsPath: string | null, groups: number) {
    this.#fd = openSocket(netnsPath, groups);
  }

  /** True if something has changed since the last call. Never waits. @throws KernelError */
  changed(): boolean {
    let changed = false;
    for (;;) {
      try {
        if (receiveMessage(this.#fd, buffer, false) === null) return changed;
      } catch (error) {
        // Notifications were lost: what they said does not matter, that there were some does.
        if (!isKernelError(error, ENOBUFS)) throw error;
      }
      changed = true;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** asm-generic/errno.h */
const ENOBUFS = 105;
