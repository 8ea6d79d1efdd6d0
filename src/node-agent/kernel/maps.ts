/** BPF maps as JavaScript maps of values. One system call per operation, or per batch where the kernel has batches. */
import type { UpdateFlag } from "../ffi/bpf.ts";
import { mapDelete, mapLookup, mapUpdate, objectInfo, openPin, possibleCpus, throwErrno, UPDATE } from "../ffi/bpf.ts";
import { ERRNO } from "../ffi/errno.ts";
import { closeFd } from "../ffi/libc.ts";
import type { Codec } from "./codec.ts";
import { LayoutError } from "./codec.ts";
import { type Chunk, deleteAll, readAll, writeAll } from "./map-batches.ts";

export { UPDATE };

/** The values of enum bpf_map_type that are used here. */
export const MAP_TYPE = {
  HASH: 1,
  ARRAY: 2,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  SK_STORAGE: 24,
  RINGBUF: 27,
} as const;

const ARRAY_TYPES: readonly number[] = [MAP_TYPE.ARRAY, MAP_TYPE.PERCPU_ARRAY];
const PER_CPU_TYPES: readonly number[] = [MAP_TYPE.PERCPU_HASH, MAP_TYPE.PERCPU_ARRAY, MAP_TYPE.LRU_PERCPU_HASH];

/** The head of `struct bpf_map_info`. */
export interface MapInfo {
  type: number;
  id: number;
  /** Bytes. */
  keySize: number;
  /** Bytes, for one CPU. */
  valueSize: number;
  maxEntries: number;
  /** As given at creation (BPF_F_...). */
  flags: number;
  name: string;
}

const MAP_INFO_SIZE = 40;

/** What the kernel says of a map. */
export function mapInfo(fd: number, label = `fd ${fd}`): MapInfo {
  const info = objectInfo(fd, MAP_INFO_SIZE, `map ${label}`);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    keySize: info.readUInt32LE(8),
    valueSize: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
    flags: info.readUInt32LE(20),
    name: info.toString("utf8", 24, Math.max(24, info.indexOf(0, 24))),
  };
}

/**
 * The values of all CPUs as one: `decode` merges them, `encode` gives the value to CPU 0 and zeros to the others.
 *
 * @param merge adds `value` to `sum` and returns it
 */
export function perCpu<V>(codec: Codec<V>, merge: (sum: V, value: V) => V): Codec<V> {
  const stride = Math.ceil(codec.SIZE / 8) * 8;
  return {
    get SIZE(): number {
      return stride * possibleCpus();
    },
    encode(value, buffer = Buffer.alloc(stride * possibleCpus()), offset = 0) {
      buffer.fill(0, offset, offset + stride * possibleCpus());
      return codec.encode(value, buffer, offset);
    },
    decode(buffer, offset = 0) {
      let sum = codec.decode(buffer, offset);
      for (let cpu = 1; cpu < possibleCpus(); cpu += 1) sum = merge(sum, codec.decode(buffer, offset + cpu * stride));
      return sum;
    },
  };
}

/** An open map. The file descriptor is its own; `close` it, or let `using` do it. */
export class BpfMap<K, V> implements Disposable {
  readonly fd: number;
  readonly info: MapInfo;
  readonly #key: Codec<K>;
  readonly #value: Codec<V>;

  /**
   * @param fd becomes this object's to close
   * @throws LayoutError if the codecs' sizes are not the map's: it is of another version
   */
  constructor(fd: number, key: Codec<K>, value: Codec<V>) {
    this.fd = fd;
    this.info = mapInfo(fd);
    this.#key = key;
    this.#value = value;
    this.#checkSizes();
  }

  /** Opens a pinned map. @throws KernelError ENOENT if there is no such pin; LayoutError */
  static open<K, V>(path: string, key: Codec<K>, value: Codec<V>): BpfMap<K, V> {
    const fd = openPin(path);
    try {
      return new BpfMap(fd, key, value);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  get name(): string {
    return this.info.name;
  }

  get maxEntries(): number {
    return this.info.maxEntries;
  }

  /** The value, or undefined if there is none. Elements of arrays are always there. */
  get(key: K): V | undefined {
    const value = Buffer.alloc(this.#value.SIZE);
    const result = mapLookup(this.fd, this.#key.encode(key), value);
    if (result === -ERRNO.ENOENT) return undefined;
    if (result < 0) throwErrno(result, "read", this.#label);
    return this.#value.decode(value);
  }

  /** Writes one element. @throws KernelError E2BIG if the map is full; EEXIST and ENOENT for flags that forbid */
  set(key: K, value: V, flag: UpdateFlag = UPDATE.ANY): void {
    const result = mapUpdate(this.fd, this.#key.encode(key), this.#value.encode(value), flag);
    if (result < 0) throwErrno(result, "write to", this.#label);
  }

  /** Writes an element that is not there yet. @returns false if it is */
  add(key: K, value: V): boolean {
    const result = mapUpdate(this.fd, this.#key.encode(key), this.#value.encode(value), UPDATE.NOEXIST);
    if (result < 0 && result !== -ERRNO.EEXIST) throwErrno(result, "add to", this.#label);
    return result === 0;
  }

  /** @returns false if there was nothing to delete */
  delete(key: K): boolean {
    const result = mapDelete(this.fd, this.#key.encode(key));
    if (result < 0 && result !== -ERRNO.ENOENT) throwErrno(result, "delete from", this.#label);
    return result === 0;
  }

  /**
   * All elements, each at most once; those that come or go meanwhile may be in it or not. Deleting while iterating
   * is safe.
   */
  *entries(): Generator<[K, V]> {
    for (const { keys, values, count } of readAll(this.#layout())) {
      for (let n = 0; n < count; n += 1) {
        yield [this.#key.decode(keys, n * this.#key.SIZE), this.#value.decode(values, n * this.#value.SIZE)];
      }
    }
  }

  /** All elements as bytes, keys and values one after the other: for who needs few of their fields. */
  chunks(): Generator<Chunk> {
    return readAll(this.#layout());
  }

  *keys(): Generator<K> {
    for (const [key] of this.entries()) yield key;
  }

  /** Number of elements, by counting them. */
  count(): number {
    let total = 0;
    for (const { count } of readAll(this.#layout())) total += count;
    return total;
  }

  /**
   * Writes many elements.
   * @throws KernelError E2BIG if the map is full; what came before stays written
   */
  setAll(entries: Iterable<readonly [K, V]>, flag: UpdateFlag = UPDATE.ANY): void {
    const list = [...entries];
    const keys = Buffer.alloc(list.length * this.#key.SIZE);
    const values = Buffer.alloc(list.length * this.#value.SIZE);
    list.forEach(([key, value], n) => {
      this.#key.encode(key, keys, n * this.#key.SIZE);
      this.#value.encode(value, values, n * this.#value.SIZE);
    });
    writeAll(this.#layout(), keys, values, list.length, flag);
  }

  /** Deletes many elements; those that are not there are passed over. */
  deleteAll(keys: Iterable<K>): void {
    const list = [...keys];
    const buffer = Buffer.alloc(list.length * this.#key.SIZE);
    list.forEach((key, n) => {
      this.#key.encode(key, buffer, n * this.#key.SIZE);
    });
    deleteAll(this.#layout(), buffer, list.length);
  }

  /** Deletes every element. Not for arrays. */
  clear(): void {
    this.deleteAll(this.keys());
  }

  close(): void {
    closeFd(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #label(): string {
    return `map ${this.info.name}`;
  }

  #layout(): { fd: number; keySize: number; valueSize: number; maxEntries: number; label: string; array: boolean } {
    return {
      fd: this.fd,
      keySize: this.#key.SIZE,
      valueSize: this.#value.SIZE,
      maxEntries: this.info.maxEntries,
      label: this.#label,
      array: ARRAY_TYPES.includes(this.info.type),
    };
  }

  #checkSizes(): void {
    const { keySize, valueSize, type } = this.info;
    const stored = PER_CPU_TYPES.includes(type) ? Math.ceil(valueSize / 8) * 8 * possibleCpus() : valueSize;
    if (keySize === this.#key.SIZE && stored === this.#value.SIZE) return;
    throw new LayoutError(
      `map ${this.info.name} has keys of ${keySize} and values of ${stored} bytes, where this version has ` +
        `${this.#key.SIZE} and ${this.#value.SIZE}: another version of Portcullis made it. ` +
        "Run `portcullis detach` of that version, then start this one",
    );
  }
}
