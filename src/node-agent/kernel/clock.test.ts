import assert from "node:assert/strict";
import { after, test } from "node:test";
import { CLOCK } from "../ffi/libc.ts";
import { clockOffsets, monotonicNow, wallTime, wallTimeOfBoot } from "./clock.ts";
import { BpfObject } from "./objects.ts";
import { runOnPacket } from "./test-run.ts";
import { FRAME, testObject } from "./testing/program-fixture.ts";

const object = BpfObject.load(testObject("kernel_api"));
after(() => object.close());

test("the monotonic clock is the one of bpf_ktime_get_ns", () => {
  const before = monotonicNow();
  const { cb } = runOnPacket(object.program("clock").fd, FRAME);
  const inKernel = BigInt(cb[0] ?? 0) | (BigInt(cb[1] ?? 0) << 32n);
  assert.ok(before <= inKernel && inKernel <= monotonicNow());
});

test("wall time of kernel times", () => {
  const difference = wallTime(monotonicNow()).getTime() - Date.now();
  assert.ok(Math.abs(difference) < 100, `${difference} ms`);
  const offsets = { wall: 5_000_000_000n, boot: 2_000_000_000n };
  assert.deepEqual(wallTime(1_000_000_000n, offsets), new Date(6000));
  assert.deepEqual(wallTimeOfBoot(3_000_000_000n, offsets), new Date(6000));
  assert.ok(clockOffsets().boot >= -1_000_000n);
});

test("being interrupted while the clocks are read does not set them wrong", () => {
  const step = 1000n;
  const ahead: Partial<Record<number, bigint>> = { [CLOCK.REALTIME]: 7_000_000n, [CLOCK.BOOTTIME]: 3_000_000n };
  let now = 0n;
  let reads = 0;
  const read = (clock: number) => {
    now += ++reads === 4 ? 50_000_000n : step;
    return now + (ahead[clock] ?? 0n);
  };
  const { wall, boot } = clockOffsets(read);
  assert.ok(Math.abs(Number(wall - 7_000_000n)) <= Number(step), `${wall}`);
  assert.ok(Math.abs(Number(boot - 3_000_000n)) <= Number(step), `${boot}`);
});
