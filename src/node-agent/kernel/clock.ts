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

/** Whoever is interrupted while reading the clocks is hardly interrupted every time. */
const READINGS = 5;

type ReadClock = typeof readClock;

/**
 * Reads all clocks in one go, a few times; the error is the time that the quickest reading took, a few microseconds.
 * @param read the clocks
 */
export function clockOffsets(read: ReadClock = readClock): ClockOffsets {
  const readings = Array.from({ length: READINGS }, () => readOffsets(read));
  return readings.reduce((best, reading) => (reading.took < best.took ? reading : best)).offsets;
}

function readOffsets(read: ReadClock): { took: bigint; offsets: ClockOffsets } {
  const before = read(CLOCK.MONOTONIC);
  const wall = read(CLOCK.REALTIME);
  const boot = read(CLOCK.BOOTTIME);
  const took = read(CLOCK.MONOTONIC) - before;
  const monotonic = before + took / 2n;
  return { took, offsets: { wall: wall - monotonic, boot: boot - monotonic } };
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
