import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { LoadError, logEnd } from "../ffi/libbpf.ts";
import { BPFFS_PATH, listPins } from "./bpffs.ts";
import { u32, u64 } from "./codec.ts";
import { BpfMap } from "./maps.ts";
import { BpfObject, ObjectError } from "./objects.ts";
import { runOnPacket } from "./test-run.ts";
import { FRAME, PinFolder, testObject } from "./testing/program-fixture.ts";

const pins = new PinFolder("objects");
after(() => pins[Symbol.dispose]());
const PATH = testObject("kernel_api");

test("constants of every width reach the program", () => {
  using object = BpfObject.load(PATH, { constants: { narrow: 200, verdict: -1, wide: 0xfedcba98n } });
  const result = runOnPacket(object.program("from_workload").fd, FRAME, { context: { mark: 7 } });
  assert.equal(result.returnValue, -1);
  assert.equal(result.mark, 207);
  assert.equal(result.cb[0], 0xfedcba98);
  assert.deepEqual(result.packet, FRAME);
});

test("constants keep their initial values unless set", () => {
  using object = BpfObject.load(PATH, { constants: { narrow: 4 } });
  const result = runOnPacket(object.program("from_workload").fd, FRAME);
  assert.deepEqual([result.returnValue, result.mark, result.cb[0]], [0, 4, 1]);
});

test("a constant that is not there or does not fit is refused by name", () => {
  assert.throws(() => BpfObject.load(PATH, { constants: { wrong: 1 } }), /has no constant wrong/);
  assert.throws(() => BpfObject.load(PATH, { constants: { narrow: 256 } }), /narrow has 1 bytes, in which 256/);
  assert.throws(() => BpfObject.load(PATH, { constants: { wide: Buffer.alloc(4) } }), ObjectError);
});

test("pinned maps are shared with the next object, and sizes hold for the first", () => {
  const options = { pinRoot: pins.path, maxEntries: { test_hash: 100, not_in_this_object: 5 } };
  using first = BpfObject.load(PATH, options);
  assert.ok(existsSync(join(pins.path, "test_hash")));
  assert.ok(!existsSync(join(pins.path, "test_trie")), "only maps declared as pinned are");
  using second = BpfObject.load(PATH, options);
  using map = BpfMap.open(join(pins.path, "test_hash"), u64, u64);
  assert.equal(map.maxEntries, 100);
  map.set(1n, 2n);
  assert.notEqual(first.mapFd("test_hash"), second.mapFd("test_hash"));
  using again = BpfMap.open(join(pins.path, "test_hash"), u64, u64);
  assert.equal(again.get(1n), 2n);
});

test("without a pin root nothing is pinned", () => {
  const before = listPins(BPFFS_PATH);
  using _object = BpfObject.load(PATH);
  assert.ok(!listPins(BPFFS_PATH).some((name) => name.startsWith("test_") && !before.includes(name)));
});

test("a pinned map of another size is refused, and the message says which", () => {
  BpfObject.load(PATH, { pinRoot: pins.path, maxEntries: { test_hash: 100 } }).close();
  assert.throws(
    () => BpfObject.load(PATH, { pinRoot: pins.path, maxEntries: { test_hash: 101 } }),
    (error: unknown) => error instanceof LoadError && /test_hash/.test(error.message) && error.errnoName === "EINVAL",
  );
});

test("programs can be left out, and only loaded ones are listed", () => {
  using object = BpfObject.load(PATH, { without: ["count_exit", "count_tasks"] });
  const names = object.programs().map(({ name }) => name);
  assert.ok(names.includes("from_workload") && !names.includes("count_exit") && !names.includes("count_tasks"));
  assert.throws(() => object.program("count_exit"), /has no loaded program count_exit/);
  assert.throws(() => BpfObject.load(PATH, { without: ["wrong"] }), /has no program wrong/);
});

test("the verifier's words are in the error", () => {
  assert.throws(
    () => BpfObject.load(testObject("refused")),
    (error: unknown) => {
      assert.ok(error instanceof LoadError);
      assert.equal(error.code, "PC_BPF_LOAD");
      assert.match(error.message, /reads_past_the_end/);
      assert.match(error.log, /invalid access to packet/);
      assert.match(error.log, /processed \d+ insns/);
      return true;
    },
  );
});

test("of a long log the last lines are shown, and how many are left out", () => {
  const log = Array.from({ length: 1_040 }, (_, index) => `line ${index}`).join("\n");
  const lines = logEnd(`${log}\n`).split("\n");
  assert.deepEqual(
    [lines.length, lines[0], lines[1], lines.at(-1)],
    [41, "[1000 lines left out]", "line 1000", "line 1039"],
  );
  assert.equal(logEnd("one\ntwo\n"), "one\ntwo");
});

test("a file that is not there, or no object, is a clear error", () => {
  assert.throws(
    () => BpfObject.load("/nowhere.bpf.o"),
    /cannot open BPF object \/nowhere.bpf.o: no such object \(ENOENT/,
  );
  assert.throws(() => BpfObject.load(import.meta.filename), LoadError);
});

test("what the kernel says of programs", () => {
  using object = BpfObject.load(PATH);
  const info = object.infos().find(({ name }) => name === "from_workload");
  assert.ok(info !== undefined && info.instructions > 10 && info.jitedBytes > 50);
  // Kernels before 5.16 do not tell how much they have verified.
  assert.ok(info.verifiedInstructions > 10 || info.verifiedInstructions === 0);
});

test("a closed object says so", () => {
  const object = BpfObject.load(PATH);
  object.close();
  object.close();
  assert.throws(() => object.programs(), /is closed/);
});

test("codecs of a map have to fit it", () => {
  using _object = BpfObject.load(PATH, { pinRoot: pins.path, maxEntries: { test_hash: 100 } });
  assert.throws(() => BpfMap.open(join(pins.path, "test_hash"), u32, u64), /has keys of 8 and values of 8 bytes/);
});
