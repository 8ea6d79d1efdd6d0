/** A bucket for each of many: peers, nodes. Those that were used last are remembered, the others begin anew. */
import { TokenBucket } from "./token-bucket.ts";

/** So many; the oldest go first. */
const REMEMBERED = 4096;

export class TokenBuckets {
  readonly #capacity: number;
  readonly #perSecond: number;
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(capacity: number, perSecond: number) {
    this.#capacity = capacity;
    this.#perSecond = perSecond;
  }

  of(key: string): TokenBucket {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#capacity, this.#perSecond);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > REMEMBERED) this.#buckets.delete(this.#buckets.keys().next().value ?? "");
    return bucket;
  }
}
