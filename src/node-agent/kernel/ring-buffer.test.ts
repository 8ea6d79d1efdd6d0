import assert from "node:assert/strict";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BpfObject } from "./objects.ts";
import type { RingBufferError, RingBufferOptions } from "./ring-buffer.ts";
import { RingBuffer } from "./ring-buffer.ts";
import { runOnPacket } from "./test-run.ts";
import { FRAME, PinFolder, testObject } from "./testing/program-fixture.ts";

const pins = new PinFolder("ring");
const object = BpfObject.load(testObject("kernel_api"), { pinRoot: pins.path });
after(() => {
  object.close();
  pins[Symbol.dispose]();
});
const PATH = join(pins.path, "test_ring");
const emit = object.program("emit").fd;

/** The program has one record per run, but for every third, which it discards. The ring holds 170. */
function emitRecords(count: number, mark = 0): number {
  return runOnPacket(emit, FRAME, { repeat: count, context: { mark } }).returnValue;
}

interface Seen {
  mark: number;
  sequence: number;
}

function collect(seen: Seen[], options: Partial<RingBufferOptions> = {}): RingBufferOptions {
  return {
    onRecords(records) {
      for (const record of records) {
        assert.equal(record.length, 12);
        seen.push({ mark: record.readUInt32LE(0), sequence: record.readUInt32LE(4) });
      }
    },
    onError(error) {
      throw error;
    },
    intervalMs: 5,
    ...options,
  };
}

beforeEach(() => RingBuffer.open(PATH, collect([])).close());

test("records come in order, without the discarded ones", async () => {
  const seen: Seen[] = [];
  using ring = RingBuffer.open(PATH, collect(seen));
  emitRecords(9, 5);
  await sleep(40);
  assert.deepEqual(
    seen.map(({ sequence }) => sequence),
    [0, 1, 3, 4, 6, 7],
  );
  assert.ok(seen.every(({ mark }) => mark === 5));
  assert.deepEqual(ring.statistics, { records: 6, bytes: 72, discarded: 3, failed: 0 });
});

test("goes round the ring many times", () => {
  const seen: Seen[] = [];
  using ring = RingBuffer.open(PATH, collect(seen, { intervalMs: 60_000 }));
  let expected = 0;
  for (let round = 0; round < 500; round += 1) {
    assert.equal(emitRecords(90, round), 0);
    expected += 60;
    assert.equal(ring.drain(), 60);
  }
  assert.equal(seen.length, expected);
  assert.ok(seen.every(({ mark }, n) => mark === Math.floor(n / 60)));
});

test("a full ring refuses, and takes again once it is read", () => {
  const seen: Seen[] = [];
  using ring = RingBuffer.open(PATH, collect(seen, { intervalMs: 60_000 }));
  assert.equal(emitRecords(1000), 1);
  const first = ring.drain();
  assert.ok(first > 100 && first < 171);
  assert.equal(emitRecords(30), 0);
  assert.equal(ring.drain(), 20);
});

test("the next reader goes on where the last one ended", () => {
  const first: Seen[] = [];
  const ring = RingBuffer.open(PATH, collect(first, { intervalMs: 60_000 }));
  emitRecords(3, 1);
  ring.drain();
  ring.close();
  emitRecords(3, 2);
  const second: Seen[] = [];
  RingBuffer.open(PATH, collect(second)).close();
  assert.deepEqual(
    [first.map(({ mark }) => mark), second.map(({ mark }) => mark)],
    [
      [1, 1],
      [2, 2],
    ],
  );
});

test("a handler that throws loses its records only, and is reported", () => {
  const errors: RingBufferError[] = [];
  let calls = 0;
  using ring = RingBuffer.open(PATH, {
    onRecords() {
      calls += 1;
      if (calls === 1) throw new Error("no disk");
    },
    onError: (error) => errors.push(error),
    intervalMs: 60_000,
  });
  emitRecords(3);
  ring.drain();
  emitRecords(3);
  ring.drain();
  assert.equal(errors.length, 1);
  assert.match(errors[0]?.message ?? "", /handler of 2 records failed: no disk/);
  assert.deepEqual(ring.statistics, { records: 2, bytes: 24, discarded: 2, failed: 2 });
});

test("closing from within the handler, and records that were kept", () => {
  const kept: Buffer[] = [];
  const ring = RingBuffer.open(PATH, {
    onRecords(records) {
      kept.push(...records);
      ring.close();
      assert.equal(records[0]?.length, 12);
    },
    onError: (error) => assert.fail(error),
    intervalMs: 60_000,
  });
  emitRecords(3);
  ring.drain();
  assert.equal(ring.drain(), 0);
  ring.close();
  assert.deepEqual(
    kept.map((record) => record.length),
    [0, 0],
  );
});

test("a map that is no ring buffer", () => {
  assert.throws(() => RingBuffer.open(join(pins.path, "test_hash"), collect([])), /no ring buffer/);
  assert.throws(() => RingBuffer.open(join(pins.path, "nothing"), collect([])), /ENOENT/);
});
