import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openPin } from "../../ffi/bpf.ts";
import { u32, u64 } from "../codec.ts";
import { BpfMap, perCpu } from "../maps.ts";
import { BpfObject } from "../objects.ts";
import { PinFolder, testObject } from "../testing/program-fixture.ts";
import { attach, attachPinned, BpfLink, detachPinned, runIterator } from "./links.ts";

const pins = new PinFolder("links");
after(() => pins[Symbol.dispose]());

const object = BpfObject.load(testObject("kernel_api"), { pinRoot: pins.path });
const counts = BpfMap.open(
  join(pins.path, "test_counts"),
  u32,
  perCpu(u64, (sum, value) => sum + value),
);
after(() => {
  counts.close();
  object.close();
});

const COUNTED = { EXEC: 1, EXIT: 2, SOCKET: 3, TASK: 4 };

function counted(what: number, action: () => void): bigint {
  const before = counts.get(what) ?? 0n;
  action();
  return (counts.get(what) ?? 0n) - before;
}

function spawn(): void {
  execFileSync("true");
}

function makeSocket(): void {
  execFileSync("bash", ["-c", "echo x > /dev/udp/127.0.0.1/9"]);
}

test("a raw tracepoint: attached while the link is open", () => {
  const link = attach(object.program("count_exec"));
  assert.ok(counted(COUNTED.EXEC, spawn) >= 1n);
  link.close();
  const others = counted(COUNTED.EXEC, spawn);
  assert.equal(others, 0n);
});

test("tp_btf", () => {
  using _link = attach(object.program("count_exit"));
  assert.ok(counted(COUNTED.EXIT, spawn) >= 1n);
});

test("a cgroup hook, on the root of cgroup v2", () => {
  using link = attach(object.program("count_socket"));
  assert.ok(counted(COUNTED.SOCKET, makeSocket) >= 1n);
  assert.ok(link.info().programId > 0);
});

for (const name of ["count_socket", "count_exec", "count_exit"]) {
  test(`${name}: a pinned link outlives its maker, and the next one replaces the program behind it`, () => {
    const path = join(pins.path, "links", name);
    attachPinned(object.program(name), path).close();
    const pinned = new BpfLink(openPin(path), name);
    const before = pinned.info().programId;
    pinned.close();
    using next = BpfObject.load(testObject("kernel_api"), { pinRoot: pins.path });
    attachPinned(next.program(name), path).close();
    using after = new BpfLink(openPin(path), name);
    assert.notEqual(after.info().programId, before);
    assert.ok(!existsSync(`${path}_new`));
    assert.equal(detachPinned(path), true);
    assert.equal(detachPinned(path), false);
    assert.ok(!existsSync(path));
  });
}

test("a pinned tracing link really detaches", async () => {
  const path = join(pins.path, "links", "exec_again");
  attachPinned(object.program("count_exec"), path).close();
  assert.ok(counted(COUNTED.EXEC, spawn) >= 1n);
  detachPinned(path);
  // The kernel lets go of what was pinned a little later.
  for (const end = performance.now() + 2000; counted(COUNTED.EXEC, spawn) > 0n && performance.now() < end; ) {
    await sleep(20);
  }
  assert.equal(counted(COUNTED.EXEC, spawn), 0n);
});

test("an iterator runs over all tasks, once", () => {
  let text = "";
  const tasks = counted(COUNTED.TASK, () => {
    text = runIterator(object.program("count_tasks"));
  });
  const lines = text.trim().split("\n");
  assert.equal(BigInt(lines.length), tasks);
  assert.ok(lines.includes(`task ${process.pid}`));
  assert.ok(!lines.includes("task 0"));
});

test("programs that are attached otherwise are refused", () => {
  assert.throws(() => attach(object.program("from_workload")), /not attached by links/);
});
