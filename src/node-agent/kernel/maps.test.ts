import assert from "node:assert/strict";
import { after, test } from "node:test";
import { mapCreate } from "../ffi/bpf.ts";
import { isKernelError } from "../ffi/errno.ts";
import type { Codec } from "./codec.ts";
import { LayoutError, u32, u64 } from "./codec.ts";
import { BpfMap, MAP_TYPE, perCpu, UPDATE } from "./maps.ts";

const open: Disposable[] = [];
after(() => {
  for (const map of open) map[Symbol.dispose]();
});

const NO_PREALLOC = 1;

function createMap<K, V>(type: number, key: Codec<K>, value: Codec<V>, maxEntries: number, flags = 0): BpfMap<K, V> {
  const perCpuType = type === MAP_TYPE.PERCPU_HASH || type === MAP_TYPE.PERCPU_ARRAY;
  const valueSize = perCpuType ? 8 : value.SIZE;
  const fd = mapCreate({ name: "pc_test", type, keySize: key.SIZE, valueSize, maxEntries, flags });
  const map = new BpfMap(fd, key, value);
  open.push(map);
  return map;
}

const sum = perCpu(u64, (a, b) => a + b);

function numbers(count: number): [number, bigint][] {
  return Array.from({ length: count }, (_, n) => [n, BigInt(n) * 3n]);
}

test("get, set, add, delete", () => {
  const map = createMap(MAP_TYPE.HASH, u32, u64, 10);
  assert.equal(map.get(1), undefined);
  map.set(1, 5n);
  assert.equal(map.get(1), 5n);
  assert.equal(map.add(1, 6n), false);
  assert.equal(map.get(1), 5n);
  assert.equal(map.add(2, 7n), true);
  assert.throws(
    () => map.set(1, 1n, UPDATE.NOEXIST),
    (e: unknown) => isKernelError(e) && e.errnoName === "EEXIST",
  );
  assert.throws(
    () => map.set(9, 1n, UPDATE.EXIST),
    (e: unknown) => isKernelError(e) && e.errnoName === "ENOENT",
  );
  assert.equal(map.delete(1), true);
  assert.equal(map.delete(1), false);
  assert.deepEqual([...map.entries()], [[2, 7n]]);
});

test("a full map is an error that names it", () => {
  const map = createMap(MAP_TYPE.HASH, u32, u64, 2);
  map.set(1, 1n);
  map.set(2, 1n);
  assert.throws(() => map.set(3, 1n), /cannot write to map pc_test: too big, or full \(E2BIG\)/);
  assert.throws(
    () =>
      map.setAll([
        [1, 9n],
        [2, 9n],
        [3, 9n],
      ]),
    /element 3 of 3, of at most 2 in the map/,
  );
  assert.equal(map.get(2), 9n);
});

for (const [name, type, flags] of [
  ["hash", MAP_TYPE.HASH, 0],
  ["hash without preallocation", MAP_TYPE.HASH, NO_PREALLOC],
  ["LRU hash", MAP_TYPE.LRU_HASH, 0],
] as const) {
  test(`${name}: thousands written, read, deleted at once`, () => {
    const map = createMap(type, u32, u64, 20_000, flags);
    const entries = numbers(5000);
    map.setAll(entries);
    assert.deepEqual(
      [...map.entries()].sort(([a], [b]) => a - b),
      entries,
    );
    assert.equal(map.count(), 5000);
    map.deleteAll([0, 1, 99_999, 2, ...Array.from({ length: 3000 }, (_, n) => 1000 + n)]);
    assert.equal(map.count(), 5000 - 3003);
    map.clear();
    assert.equal(map.count(), 0);
  });
}

test("batches with flags", () => {
  const map = createMap(MAP_TYPE.HASH, u32, u64, 5000);
  map.setAll(numbers(3000), UPDATE.NOEXIST);
  assert.throws(
    () =>
      map.setAll(
        [
          [5000, 1n],
          [7, 1n],
        ],
        UPDATE.NOEXIST,
      ),
    /element 2 of 2.*exists already/,
  );
  assert.equal(map.get(5000), 1n);
  assert.equal(map.get(7), 21n);
});

test("entries may be deleted while they are iterated over", () => {
  const map = createMap(MAP_TYPE.HASH, u32, u64, 10_000);
  map.setAll(numbers(4000));
  const seen = new Set<number>();
  for (const [key] of map.entries()) {
    assert.ok(!seen.has(key));
    seen.add(key);
    map.delete(key);
  }
  assert.equal(seen.size, 4000);
  assert.equal(map.count(), 0);
});

test("longest-prefix maps: match, iterate, batch, refuse", () => {
  const key: Codec<[number, number]> = {
    SIZE: 8,
    encode([length, address], buffer = Buffer.alloc(8), offset = 0) {
      buffer.writeUInt32LE(length, offset);
      buffer.writeUInt32BE(address, offset + 4);
      return buffer;
    },
    decode: (buffer, offset = 0) => [buffer.readUInt32LE(offset), buffer.readUInt32BE(offset + 4)],
  };
  const map = createMap(MAP_TYPE.LPM_TRIE, key, u32, 10_000, NO_PREALLOC);
  const entries = Array.from({ length: 3000 }, (_, n): [[number, number], number] => [[24, 0x0a000000 + n * 256], n]);
  map.setAll([...entries, [[8, 0x0a000000], 7]]);
  assert.equal(map.get([32, 0x0a000501]), 5);
  assert.equal(map.get([32, 0x0aff0001]), 7);
  assert.equal(map.get([32, 0x0b000001]), undefined);
  assert.equal(map.count(), 3001);
  const seen = new Set<string>();
  for (const [prefix] of map.entries()) {
    seen.add(prefix.join("/"));
    map.delete(prefix);
  }
  assert.equal(seen.size, 3001);
  assert.throws(() => map.set([33, 0], 1), /invalid argument/);
  assert.throws(
    () =>
      map.setAll([
        [[8, 0], 1],
        [[33, 0], 1],
      ]),
    /element 2 of 2/,
  );
});

test("arrays are all there, and cannot be deleted from", () => {
  const map = createMap(MAP_TYPE.ARRAY, u32, u64, 3000);
  map.set(2, 9n);
  assert.equal(map.count(), 3000);
  assert.equal([...map.entries()][2]?.[1], 9n);
  assert.throws(() => map.set(3000, 1n), /E2BIG/);
  assert.throws(() => map.delete(1), /EINVAL/);
  assert.equal(map.get(3000), undefined);
});

for (const type of [MAP_TYPE.PERCPU_HASH, MAP_TYPE.PERCPU_ARRAY]) {
  test(`per-CPU values are merged (map type ${type})`, () => {
    const map = createMap(type, u32, sum, 1500);
    map.set(3, 4n);
    map.setAll([
      [4, 10n],
      [5, 11n],
    ]);
    assert.deepEqual([map.get(3), map.get(4), map.get(5)], [4n, 10n, 11n]);
    assert.equal([...map.entries()].find(([key]) => key === 5)?.[1], 11n);
  });
}

/** BPF_MAP_TYPE_DEVMAP_HASH: a type without batches. Values are interfaces; 1 is the loopback device. */
const DEVMAP_HASH = 25;

test("element by element where there are no batches", () => {
  const map = createMap(DEVMAP_HASH, u32, u32, 3000);
  map.setAll(Array.from({ length: 2000 }, (_, n): [number, number] => [n, 1]));
  assert.equal(map.count(), 2000);
  const seen = new Set<number>();
  for (const [key, value] of map.entries()) {
    assert.equal(value, 1);
    assert.ok(!seen.has(key));
    seen.add(key);
    map.delete(key);
  }
  assert.equal(seen.size, 2000);
  map.setAll([
    [1, 1],
    [2, 1],
    [3, 1],
  ]);
  map.deleteAll([1, 77, 3]);
  assert.deepEqual([...map.keys()], [2]);
});

test("codecs of the wrong size are refused", () => {
  const fd = mapCreate({ name: "pc_test", type: MAP_TYPE.HASH, keySize: 4, valueSize: 4, maxEntries: 1 });
  assert.throws(() => new BpfMap(fd, u32, u64), LayoutError);
  open.push(new BpfMap(fd, u32, u32));
});

test("a pin that is not there", () => {
  assert.throws(
    () => BpfMap.open("/sys/fs/bpf/pc-no-such-pin", u32, u32),
    /cannot open pin .*no such object \(ENOENT\)/,
  );
});
