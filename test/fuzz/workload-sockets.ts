/** The sockets of a case: each as the kernel has it, and as the reference evaluator knows it. */

import { closeFd } from "../../src/node-agent/ffi/libc.ts";
import { type IpPacket, TCP_FLAGS } from "../../src/policy/packet/packet.ts";
import type { Exit, Socket } from "../../src/policy/reference/sockets.ts";
import { parseIp } from "../../src/policy/table/addresses.ts";
import { NO_ANCESTRY, type Subject } from "../../src/policy/table/subject.ts";
import type { ProcessRef } from "../harness/classifier-harness.ts";
import type { LiveHarness, Owners } from "../harness/live-harness.ts";
import {
  AF,
  acceptFrom,
  bindTo,
  connectTo,
  countBytes,
  groupOn,
  internetAddress,
  linkAddress,
  OPTION,
  openSocket,
  SOCK,
  setOption,
  startListening,
} from "../harness/native-sockets.ts";
import { WORKLOAD_MAC } from "../packets/ethernet.ts";
import { PROTOCOL } from "../packets/transport.ts";
import type { OpenStep } from "./socket-case.ts";

/** l_onoff and l_linger: closing sends a reset, and leaves nothing. */
const AT_ONCE = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0]);
const UNSPECIFIED = ["0.0.0.0", "::"];

/** A socket with its descriptor; -1 while it is half-open. */
interface Held {
  fd: number;
  socket: Socket;
  group: string | null;
}

export class WorkloadSockets {
  readonly #harness: LiveHarness;
  readonly #held = new Map<number, Held>();
  #opened = 0;
  /** The socket that was closed last, if its connection has carried payload. */
  #closedSpoken: Socket | null = null;

  constructor(harness: LiveHarness) {
    this.#harness = harness;
  }

  /** In the order in which they were bound. */
  get all(): Socket[] {
    return [...this.#held.values()].map(({ socket }) => socket);
  }

  get groups(): Set<string> {
    return new Set([...this.#held.values()].flatMap(({ group }) => group ?? []));
  }

  get(slot: number): { fd: number; socket: Socket } | undefined {
    return this.#held.get(slot);
  }

  /** @returns false if the slot or the address is taken */
  open(step: OpenStep): boolean {
    if (this.#held.has(step.slot)) return false;
    const fd = this.#harness.inside(() => this.#make(step));
    if (fd === null) return false;
    this.#opened += 1;
    this.#held.set(step.slot, { fd, socket: describe(step, `${this.#opened}`), group: step.group ?? null });
    return true;
  }

  hand(slot: number, owners: Owners): void {
    const held = this.#held.get(slot);
    if (held === undefined || held.socket.kind === "packet" || held.fd < 0) return;
    for (const { socket } of [held, ...this.#halfOpenOf(held.socket)]) Object.assign(socket, subjectsOf(owners));
    this.#harness.own(held.fd, owners);
  }

  /** What the peer's SYN leaves, until the handshake is complete. */
  begin(slot: number, listener: Socket, packet: IpPacket): void {
    if (this.#held.has(slot)) return;
    this.#opened += 1;
    const socket: Socket = {
      ...listener,
      id: `${this.#opened}`,
      kind: "half-open",
      local: packet.destination,
      remote: packet.source,
      remotePort: packet.sourcePort,
      accepted: true,
    };
    this.#held.set(slot, { fd: -1, socket, group: null });
  }

  /** Takes the connection that a listener has now, if there is one. */
  accept(slot: number, packet: IpPacket): void {
    const listening = [...this.#held.values()].find(
      ({ socket }) =>
        socket.kind === "listener" && socket.localPort === packet.destinationPort && socket.family === packet.family,
    );
    const fd = listening === undefined ? null : acceptFrom(listening.fd);
    if (listening === undefined || fd === null) return;
    const { creator, user } = listening.socket;
    if (!this.#held.has(slot)) this.begin(slot, listening.socket, packet);
    const held = this.#held.get(slot) as Held;
    held.fd = fd;
    Object.assign(held.socket, { kind: "stream", creator, user, former: null });
    setOption(fd, OPTION.linger, AT_ONCE);
  }

  /** @returns the socket that was closed: what it sends in the end is still its own */
  close(slot: number): Socket | null {
    const held = this.#held.get(slot);
    if (held === undefined || held.fd < 0) return null;
    this.#closedSpoken = this.hasSpoken(held.socket) ? held.socket : null;
    this.#held.delete(slot);
    closeFd(held.fd);
    for (const other of this.#halfOpenOf(held.socket)) this.#held.delete(other.slot);
    return held.socket;
  }

  /** The connections of a listener whose handshakes are not complete. */
  #halfOpenOf({ kind, localPort, family }: Socket): { slot: number; socket: Socket }[] {
    return [...this.#held]
      .map(([slot, { socket }]) => ({ slot, socket }))
      .filter(({ socket }) => socket.kind === "half-open" && kind === "listener")
      .filter(({ socket }) => socket.localPort === localPort && socket.family === family);
  }

  closeAll(): void {
    for (const slot of [...this.#held.keys()]) this.close(slot);
    this.#held.clear();
  }

  /** Whether a connection has carried payload: a SYN and a FIN count as a byte each. */
  hasSpoken(socket: Socket): boolean {
    if (socket === this.#closedSpoken) return true;
    const held = [...this.#held.values()].find((candidate) => candidate.socket === socket);
    if (held === undefined || held.fd < 0 || socket.kind !== "stream") return false;
    const { acknowledged, received } = countBytes(held.fd);
    return acknowledged > 2 || received > 1;
  }

  /**
   * By what a TCP segment leaves that no step has sent. Null: since 6.13 a reset, and what answers for a half-open connection,
   * has the socket that it is about, and a control socket before.
   */
  exitOf(packet: IpPacket, hasCookies: boolean): Exit | null {
    const flags = packet.tcp?.flags ?? 0;
    const connection = this.all.find(
      ({ family, protocol, localPort, remote, remotePort }) =>
        family === packet.family &&
        protocol === packet.protocol &&
        localPort === packet.sourcePort &&
        remote === packet.destination &&
        remotePort === packet.destinationPort,
    );
    const isAnswer = (flags & TCP_FLAGS.syn) !== 0 && (flags & TCP_FLAGS.ack) !== 0;
    if (connection !== undefined) {
      return isAnswer || (connection.kind === "stream" && (flags & TCP_FLAGS.rst) === 0) ? connection : null;
    }
    if (isAnswer) return hasCookies ? "nothing" : null;
    const isListenedOn = this.all.some(
      ({ kind, family, localPort }) =>
        kind === "listener" && family === packet.family && localPort === packet.sourcePort,
    );
    if (isListenedOn) return null;
    // Over IPv6 what refuses a connection that nobody waits for has no socket at all.
    return packet.family === "ipv6" ? "nothing" : "kernel";
  }

  #make(step: OpenStep): number | null {
    const { what, local, peer, group, owners } = step;
    if (what === "packet") return this.#makePacketSocket();
    const isIpv6 = local.address.includes(":");
    const isStream = what === "stream" || what === "listener";
    const type = what === "raw" ? SOCK.raw : isStream ? SOCK.stream : SOCK.datagram;
    const fd = openSocket(isIpv6 ? AF.inet6 : AF.inet, type, what === "raw" ? local.port : 0);
    if (isIpv6) setOption(fd, OPTION.onlyIpv6, 1);
    if (!isIpv6 && what === "raw") setOption(fd, OPTION.headerIncluded, 1);
    if (what === "datagram") setOption(fd, OPTION.reuseAddress, 1);
    if (isStream) setOption(fd, OPTION.linger, AT_ONCE);
    // A listener without an owner yet is this process's, which has no flows that were to be judged anew.
    if (what !== "listener") this.#harness.own(fd, owners);
    if (!bindTo(fd, internetAddress(local.address, what === "raw" ? 0 : local.port))) {
      closeFd(fd);
      return null;
    }
    if (group !== undefined)
      setOption(fd, isIpv6 ? OPTION.joinGroup6 : OPTION.joinGroup, groupOn(group, this.#harness.insideIfindex));
    if (what === "listener") {
      this.#harness.unasked(() => startListening(fd));
      this.#harness.own(fd, owners);
    }
    if (peer !== undefined) connectTo(fd, internetAddress(peer.address, what === "raw" ? 0 : peer.port));
    return fd;
  }

  #makePacketSocket(): number {
    const fd = openSocket(AF.packet, SOCK.raw, 0);
    setOption(fd, OPTION.vnetHeader, 1);
    bindTo(fd, linkAddress(this.#harness.insideIfindex, WORKLOAD_MAC));
    return fd;
  }
}

function describe({ what, local, peer, owners }: OpenStep, id: string): Socket {
  const protocol = what === "raw" ? local.port : what === "datagram" ? PROTOCOL.udp : PROTOCOL.tcp;
  const isAny = UNSPECIFIED.includes(local.address) && peer === undefined;
  return {
    id,
    kind: what,
    family: local.address.includes(":") ? "ipv6" : "ipv4",
    protocol,
    local: isAny ? null : (parseIp(local.address) as bigint),
    localPort: what === "raw" ? 0 : local.port,
    remote: peer === undefined ? null : (parseIp(peer.address) as bigint),
    remotePort: peer === undefined || what === "raw" ? 0 : peer.port,
    accepted: false,
    ...subjectsOf(owners),
  };
}

function subjectsOf({ creator, user, former }: Owners): Pick<Socket, "creator" | "user" | "former"> {
  return {
    creator: subjectOf(creator),
    user: subjectOf(user),
    former: former === undefined ? null : subjectOf(former),
  };
}

function subjectOf({ path, modified }: ProcessRef): Subject {
  const known = { script: null, container: null, ephemeral: false, ancestry: NO_ANCESTRY, user: 0 };
  return { path, modified: modified ?? false, ...known };
}
