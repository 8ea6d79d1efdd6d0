/**
 * Tokens that wait for their review by the API server. So many are asked about at a time, so many wait, few of them for one address;
 * those of addresses that an agent was let in from before go first, addresses take turns, and who is not known has a turn now and then
 * whatever the others want. Who finds no place is asked to come back.
 */
import { status as GrpcStatus } from "@grpc/grpc-js";
import { StreamRefusal } from "./authentication.ts";

/** Asked about at a time; who takes longer than this many milliseconds no longer counts. */
const REVIEWS = 16;
const REVIEW_MS = 5_000;
const WAITING_MAX = 512;
const WAITING_BY_PEER = 64;
/** One turn of so many is that of somebody who is not known. */
const UNKNOWN_TURN = 8;

/** Who waits, by address. */
class Turns {
  readonly #waiting = new Map<string, (() => void)[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  of(address: string): number {
    return this.#waiting.get(address)?.length ?? 0;
  }

  add(address: string, start: () => void): void {
    const others = this.#waiting.get(address);
    if (others === undefined) this.#waiting.set(address, [start]);
    else others.push(start);
    this.#size += 1;
  }

  /** The next one; its address goes to the end. */
  take(): (() => void) | undefined {
    const [first] = this.#waiting;
    if (first === undefined) return undefined;
    const [address, starts] = first;
    const start = starts.shift();
    this.#waiting.delete(address);
    if (starts.length > 0) this.#waiting.set(address, starts);
    this.#size -= 1;
    return start;
  }
}

export class ReviewQueue {
  /** Of addresses that are known, and the others. */
  readonly #known = new Turns();
  readonly #unknown = new Turns();
  #running = 0;
  #turns = 0;

  /**
   * Does something for a peer once it is its turn.
   * @param peer `address:port`
   * @throws StreamRefusal where too many wait already, and what the work throws
   */
  async pass<T>(peer: string, isKnown: boolean, work: () => Promise<T>): Promise<T> {
    const address = peer.slice(0, peer.lastIndexOf(":"));
    if (this.#running >= REVIEWS) await this.#turn(address, isKnown);
    else this.#running += 1;
    let isOver = false;
    const leave = () => {
      if (isOver) return;
      isOver = true;
      this.#next();
    };
    const late = setTimeout(leave, REVIEW_MS);
    try {
      return await work();
    } finally {
      clearTimeout(late);
      leave();
    }
  }

  #turn(address: string, isKnown: boolean): Promise<void> {
    const turns = isKnown ? this.#known : this.#unknown;
    if (turns.size >= WAITING_MAX || turns.of(address) >= WAITING_BY_PEER) {
      throw new StreamRefusal(GrpcStatus.RESOURCE_EXHAUSTED, "too many tokens wait to be checked; connect again later");
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    turns.add(address, resolve);
    return promise;
  }

  /** Gives a place on. */
  #next(): void {
    this.#turns += 1;
    const isUnknownTurn = this.#turns % UNKNOWN_TURN === 0;
    const [first, second] = isUnknownTurn ? [this.#unknown, this.#known] : [this.#known, this.#unknown];
    const start = first.take() ?? second.take();
    if (start === undefined) this.#running -= 1;
    else start();
  }
}
