/**
 * Tokens that wait for the API server to say whose they are. So many are asked about at a time, so many wait, few of them for one peer;
 * those of addresses that an agent was let in from before go first. Whoever finds no place is told to come back.
 */
import { status as GrpcStatus } from "@grpc/grpc-js";
import { StreamRefusal } from "./authentication.ts";

interface Waiting {
  address: string;
  start: () => void;
}

/** Asked about at a time; who takes longer than this many milliseconds no longer counts. */
const REVIEWS = 16;
const REVIEW_MS = 5_000;
const WAITING_MAX = 512;
const WAITING_BY_PEER = 64;

export class ReviewQueue {
  /** Of addresses that are known, and the others. */
  readonly #known: Waiting[] = [];
  readonly #strangers: Waiting[] = [];
  readonly #counts = new Map<string, number>();
  #running = 0;

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
    const queue = isKnown ? this.#known : this.#strangers;
    const count = this.#counts.get(address) ?? 0;
    if (queue.length >= WAITING_MAX || (!isKnown && count >= WAITING_BY_PEER)) {
      throw new StreamRefusal(GrpcStatus.RESOURCE_EXHAUSTED, "too many tokens wait to be checked; connect again later");
    }
    this.#counts.set(address, count + 1);
    const { promise, resolve } = Promise.withResolvers<void>();
    queue.push({ address, start: resolve });
    return promise;
  }

  /** Gives a place on. */
  #next(): void {
    const next = this.#known.shift() ?? this.#strangers.shift();
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    const count = (this.#counts.get(next.address) ?? 1) - 1;
    if (count === 0) this.#counts.delete(next.address);
    else this.#counts.set(next.address, count);
    next.start();
  }
}
