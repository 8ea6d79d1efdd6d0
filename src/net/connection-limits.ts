/**
 * How many connections a listener keeps, of one peer and in all. Until somebody has been let in (by a token, say) a connection is
 * unauthenticated: of these there are few, each for a short time, and when there is no room the oldest of the peer that has most of them goes,
 * so that a flood costs mostly itself. Peers that were let in before come first, and have more places: but no peer has all of them, because
 * one that was let in may have been taken over since.
 */
import type { Socket } from "node:net";
import type { TokenBucket } from "../timing/token-bucket.ts";
import { TokenBuckets } from "../timing/token-buckets.ts";

export interface ConnectionLimitOptions {
  /** Unauthenticated connections, in all and of one peer. */
  unauthenticated: number;
  unauthenticatedByPeer: number;
  /** New connections of one peer: so many at once, and so many a second. */
  burst: number;
  perSecond: number;
  /** A connection that is still unauthenticated after so many milliseconds is closed. */
  patience: number;
  /** And one who has sent more than so many bytes: whatever comes has to be decrypted and read. */
  bytes: number;
  /** A connection was not taken, or ended again. */
  onDropped?: (reason: DropReason) => void;
}

/** rate: too many new ones; peer: too many of one peer; room: too many in all; patience: not let in for too long; bytes: too many before. */
export type DropReason = "rate" | "peer" | "room" | "patience" | "bytes";

interface UnauthenticatedConnection {
  socket: Socket;
  address: string;
  isKnown: boolean;
  late: NodeJS.Timeout;
}

/** Peers that were let in and are remembered; the oldest go first. */
const REMEMBERED = 4096;
/** A peer that was let in before has so many times the connections of one that was not, and their rate: several may share its address. */
const KNOWN_SHARE = 4;
/** How often it is looked how much unauthenticated connections have sent, in milliseconds. */
const LOOK_MS = 50;
/** Who has sent too much has used up as many new connections. */
const BYTES_COST = 10;
/** Between the last words to a peer and the end of its connection. */
const LAST_WORDS_MS = 250;

export class ConnectionLimits {
  readonly #options: ConnectionLimitOptions;
  /** In the order in which they came. */
  readonly #unauthenticated = new Map<Socket, UnauthenticatedConnection>();
  readonly #counts = new Map<string, number>();
  readonly #rates: TokenBuckets;
  readonly #knownRates: TokenBuckets;
  readonly #known = new Set<string>();
  /** By `address:port` of the peer. */
  readonly #sockets = new Map<string, Socket>();
  /** Null: there are no unauthenticated connections. */
  #look: NodeJS.Timeout | null = null;

  constructor(options: ConnectionLimitOptions) {
    this.#options = options;
    const { burst, perSecond } = options;
    this.#rates = new TokenBuckets(burst, perSecond);
    this.#knownRates = new TokenBuckets(burst * KNOWN_SHARE, perSecond * KNOWN_SHARE);
  }

  /** All connections that are open. */
  get size(): number {
    return this.#sockets.size;
  }

  /** Those of peers that have not been let in. */
  get unauthenticated(): number {
    return this.#unauthenticated.size;
  }

  /** A new connection; false: it was not taken, and is closed. */
  admit(socket: Socket): boolean {
    socket.on("error", () => {});
    const address = addressOf(socket);
    const reason = this.#refusal(address);
    if (reason !== null) {
      this.#drop(socket, reason);
      return false;
    }
    this.#add(socket, address);
    return true;
  }

  /** Somebody was let in over this connection: it stays as long as both sides like. */
  trust(peer: string): void {
    const socket = this.#sockets.get(peer);
    const connection = socket === undefined ? undefined : this.#unauthenticated.get(socket);
    if (connection === undefined) return;
    this.#forgetUnauthenticated(connection);
    this.remember(peer);
  }

  /** Somebody was let in from this address: it comes first from now on. The connection itself has no longer to live than before. */
  remember(peer: string): void {
    const address = addressIn(peer);
    this.#known.delete(address);
    this.#known.add(address);
    if (this.#known.size > REMEMBERED) this.#known.delete(this.#known.values().next().value ?? "");
  }

  /** Whether somebody was let in from this address before. */
  isKnown(peer: string): boolean {
    return this.#known.has(addressIn(peer));
  }

  /** Ends a connection, after what was said last over it. */
  dismiss(peer: string): void {
    const socket = this.#sockets.get(peer);
    if (socket !== undefined) setTimeout(() => socket.destroy(), LAST_WORDS_MS).unref();
  }

  closeAll(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #refusal(address: string): DropReason | null {
    const { unauthenticated, unauthenticatedByPeer } = this.#options;
    const count = this.#counts.get(address) ?? 0;
    if (!this.#rateOf(address).take()) return "rate";
    if (count >= unauthenticatedByPeer * (this.#known.has(address) ? KNOWN_SHARE : 1)) return "peer";
    if (this.#unauthenticated.size < unauthenticated) return null;
    const victim = this.#victim(address);
    if (victim === null) return "room";
    this.#drop(victim.socket, "room");
    return null;
  }

  /**
   * Who makes room for a newcomer: the oldest connection of the peer that has most, among those that nobody knows; else of one that is
   * known, if it has more than a peer that was never let in may have, or more than the newcomer, who is known as well.
   */
  #victim(newcomer: string): UnauthenticatedConnection | null {
    const connection = this.#oldestOfMost(({ isKnown }) => !isKnown);
    if (connection !== null) return connection;
    const most = this.#oldestOfMost(({ address }) => address !== newcomer);
    if (most === null) return null;
    const own = this.#known.has(newcomer) ? (this.#counts.get(newcomer) ?? 0) + 1 : this.#options.unauthenticatedByPeer;
    return (this.#counts.get(most.address) ?? 0) > own ? most : null;
  }

  #oldestOfMost(counts: (connection: UnauthenticatedConnection) => boolean): UnauthenticatedConnection | null {
    let oldest: UnauthenticatedConnection | null = null;
    let most = 0;
    for (const connection of this.#unauthenticated.values()) {
      const count = this.#counts.get(connection.address) ?? 0;
      if (!counts(connection) || count <= most) continue;
      oldest = connection;
      most = count;
    }
    return oldest;
  }

  #add(socket: Socket, address: string): void {
    const peer = `${address}:${socket.remotePort}`;
    const late = setTimeout(() => this.#drop(socket, "patience"), this.#options.patience);
    const connection = { socket, address, isKnown: this.#known.has(address), late };
    this.#unauthenticated.set(socket, connection);
    this.#look ??= setInterval(() => this.#lookAtBytes(), LOOK_MS).unref();
    this.#counts.set(address, (this.#counts.get(address) ?? 0) + 1);
    this.#sockets.set(peer, socket);
    socket.once("close", () => {
      this.#forgetUnauthenticated(connection);
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
    });
  }

  #drop(socket: Socket, reason: DropReason): void {
    const connection = this.#unauthenticated.get(socket);
    if (connection !== undefined) this.#forgetUnauthenticated(connection);
    socket.destroy();
    this.#options.onDropped?.(reason);
  }

  #forgetUnauthenticated({ socket, address, late }: UnauthenticatedConnection): void {
    clearTimeout(late);
    if (!this.#unauthenticated.delete(socket)) return;
    if (this.#unauthenticated.size === 0 && this.#look !== null) {
      clearInterval(this.#look);
      this.#look = null;
    }
    const count = (this.#counts.get(address) ?? 1) - 1;
    if (count === 0) this.#counts.delete(address);
    else this.#counts.set(address, count);
  }

  #rateOf(address: string): TokenBucket {
    return (this.#known.has(address) ? this.#knownRates : this.#rates).of(address);
  }

  /** TLS is decrypted by Node below the socket: nothing but its count tells how much has come. */
  #lookAtBytes(): void {
    for (const { socket, address } of [...this.#unauthenticated.values()]) {
      if (socket.bytesRead <= this.#options.bytes) continue;
      this.#rateOf(address).spend(BYTES_COST);
      this.#drop(socket, "bytes");
    }
  }
}

/** As `address:port` is written of a peer elsewhere. */
export function peerOf(socket: Socket): string {
  return `${addressOf(socket)}:${socket.remotePort}`;
}

function addressIn(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(":"));
}

function addressOf(socket: Socket): string {
  return socket.remoteAddress ?? "";
}
