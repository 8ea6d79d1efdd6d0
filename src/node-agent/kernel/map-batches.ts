/** Whole maps: by batches where kernel and map type have them, else element by element. */
import type { BatchResult, UpdateFlag } from "../ffi/bpf.ts";
import {
  mapDelete,
  mapDeleteBatch,
  mapLookup,
  mapLookupBatch,
  mapNextKey,
  mapUpdate,
  mapUpdateBatch,
  throwErrno,
  UPDATE,
} from "../ffi/bpf.ts";
import { ERRNO, KernelError } from "../ffi/errno.ts";

/** An open map and the sizes of its elements, bytes (values of per-CPU maps: all CPUs' together). */
export interface MapLayout {
  fd: number;
  keySize: number;
  valueSize: number;
  maxEntries: number;
  /** For messages. */
  label: string;
  array: boolean;
}

/** Elements one after the other. */
export interface Chunk {
  keys: Buffer;
  values: Buffer;
  count: number;
}

/** What kernels and map types without batches answer; EINVAL comes from kernels that do not know the command. */
const WITHOUT_BATCHES = new Set<number>([ERRNO.EINVAL, ERRNO.ENOTSUPP, ERRNO.EOPNOTSUPP]);
const CHUNK = 1024;

function unsupported(result: number): boolean {
  return result < 0 && WITHOUT_BATCHES.has(-result);
}

/** All elements, each at most once. */
export function* readAll(map: MapLayout): Generator<Chunk> {
  // A chunk holds whole hash buckets; one that is too small for a bucket answers ENOSPC.
  let size = Math.max(1, Math.min(CHUNK, map.maxEntries));
  let from: Buffer | null = null;
  for (let first = true; ; first = false) {
    const keys = Buffer.alloc(size * map.keySize);
    const values = Buffer.alloc(size * map.valueSize);
    const next: Buffer = Buffer.alloc(Math.max(4, map.keySize));
    const { result, count } = mapLookupBatch(map.fd, { from, next }, keys, values, size);
    if (result === -ERRNO.ENOSPC) {
      size *= 2;
      continue;
    }
    if (first && unsupported(result)) {
      yield* readOneByOne(map);
      return;
    }
    if (result < 0 && result !== -ERRNO.ENOENT) throwErrno(result, "read", map.label);
    if (count > 0) yield { keys, values, count };
    if (result === -ERRNO.ENOENT) return;
    from = next;
  }
}

/** How often the walk may be thrown back to the start because the element it stood on was deleted. */
const MAX_RESTARTS = 1000;

/** The keys first, then their values: the key a walk stands on must not go away under it. */
function* readOneByOne(map: MapLayout): Generator<Chunk> {
  for (const key of collectKeys(map)) {
    const values = Buffer.alloc(map.valueSize);
    const result = mapLookup(map.fd, key, values);
    if (result === -ERRNO.ENOENT) continue;
    if (result < 0) throwErrno(result, "read", map.label);
    yield { keys: key, values, count: 1 };
  }
}

function collectKeys(map: MapLayout): Iterable<Buffer> {
  const seen = new Map<string, Buffer>();
  let restarts = 0;
  for (let key: Buffer | null = null; ; ) {
    const next: Buffer = Buffer.alloc(map.keySize);
    const result = mapNextKey(map.fd, key, next);
    if (result === -ERRNO.ENOENT) return seen.values();
    if (result < 0) throwErrno(result, "read", map.label);
    const text = next.toString("latin1");
    // A deleted key sends the kernel's walk back to the first one.
    if (seen.has(text) && isFirstKey(map, next)) restarts += 1;
    if (restarts > MAX_RESTARTS) {
      const detail = "its elements come and go faster than they can be read";
      throw new KernelError({ operation: "read", object: map.label, errno: ERRNO.EAGAIN, detail });
    }
    seen.set(text, next);
    key = next;
  }
}

function isFirstKey(map: MapLayout, key: Buffer): boolean {
  const first = Buffer.alloc(map.keySize);
  return mapNextKey(map.fd, null, first) === 0 && first.equals(key);
}

type BatchCall = (from: number, count: number) => BatchResult;
type SingleCall = (index: number) => number;

/**
 * Does something to `count` elements: in chunks, or one by one where the kernel refuses a chunk. A chunk that was
 * refused is done again from its start, so what is done must bear repeating.
 *
 * @param passOver an error number that means "go on with the next element"
 */
function inBatches(
  count: number,
  batch: BatchCall | null,
  single: SingleCall,
  fail: Fail,
  passOver: number | null,
): void {
  let batches = batch !== null;
  for (let from = 0; from < count; ) {
    const wanted = Math.min(CHUNK, count - from);
    if (batches && batch !== null) {
      const { result, count: done } = batch(from, wanted);
      if (result === 0) {
        from += wanted;
        continue;
      }
      if (passOver === -result) {
        from += done + 1;
        continue;
      }
      if (!unsupported(result)) fail(result, from + done);
      batches = false;
    }
    const result = single(from);
    if (result < 0 && passOver !== -result) fail(result, from);
    from += 1;
  }
}

type Fail = (result: number, index: number) => never;

/** Writes all; throws at the first element that the map refuses. */
export function writeAll(map: MapLayout, keys: Buffer, values: Buffer, count: number, flag: UpdateFlag): void {
  const part = elementsOf(map, keys, values);
  inBatches(
    count,
    // The kernel takes no NOEXIST or EXIST for a batch.
    flag === UPDATE.ANY ? (from, n) => mapUpdateBatch(map.fd, part.keys(from, n), part.values(from, n), n) : null,
    (index) => mapUpdate(map.fd, part.keys(index, 1), part.values(index, 1), flag),
    (result, index) => {
      const object = `${map.label} (element ${index + 1} of ${count}, of at most ${map.maxEntries} in the map)`;
      return throwErrno(result, "write to", object);
    },
    null,
  );
}

/** Deletes all; elements that are not there are passed over. */
export function deleteAll(map: MapLayout, keys: Buffer, count: number): void {
  const part = elementsOf(map, keys, keys);
  inBatches(
    count,
    (from, n) => mapDeleteBatch(map.fd, part.keys(from, n), n),
    (index) => mapDelete(map.fd, part.keys(index, 1)),
    (result, index) => throwErrno(result, "delete from", `${map.label} (element ${index + 1} of ${count})`),
    ERRNO.ENOENT,
  );
}

function elementsOf(map: MapLayout, keys: Buffer, values: Buffer) {
  return {
    keys: (from: number, n: number) => keys.subarray(from * map.keySize, (from + n) * map.keySize),
    values: (from: number, n: number) => values.subarray(from * map.valueSize, (from + n) * map.valueSize),
  };
}
