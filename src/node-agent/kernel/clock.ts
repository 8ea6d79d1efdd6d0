/**
 * The kernel's clocks. bpf_ktime_get_ns and everything in the shared structs is CLOCK_MONOTONIC; only start times
 * of processes are CLOCK_BOOTTIME, which also runs while the machine sleeps.
 */
import { CLOCK, readClock } from "../ffi/libc.ts";

/** Now, as bpf_ktime_get_ns would say. */
export function monotonicNow(): bigint {
  return readClock(CLOCK.MONOTONIC);
}

/** How far the other clocks are ahead of CLOCK_MONOTONIC, ns. Take it anew now and then: NTP moves wall time. */
export interface ClockOffsets {
  wall: bigint;
  boot: bigint;
}

/** Reads all clocks in one go; the error is the time this takes, a few microseconds. */
export function clockOffsets(): ClockOffsets {
  const before = readClock(CLOCK.MONOTONIC);
  const wall = readClock(CLOCK.REALTIME);
  const boot = readClock(CLOCK.BOOTTIME);
  const after = readClock(CLOCK.MONOTONIC);
  const monotonic = (before + after) / 2n;
  return { wall: wall - monotonic, boot: boot - monotonic };
}

const NS_PER_MS = 1_000_000n;

/** Wall time of a CLOCK_MONOTONIC time, to the millisecond. */
export function wallTime(monotonic: bigint, offsets: ClockOffsets = clockOffsets()): Date {
  return new Date(Number((monotonic + offsets.wall) / NS_PER_MS));
}

/** Wall time of a CLOCK_BOOTTIME time, such as a process's start. */
export function wallTimeOfBoot(boot: bigint, offsets: ClockOffsets = clockOffsets()): Date {
  return wallTime(boot - offsets.boot, offsets);
}
