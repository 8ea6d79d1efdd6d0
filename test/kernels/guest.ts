/** One guest: a kernel, booted under software emulation, with the results that it sends. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Kernel } from "./boot/kernel-cache.ts";
import { runToEnd } from "./process.ts";
import type { GuestResult } from "./results.ts";
import { parseResults } from "./results.ts";

const QEMU = "qemu-system-x86_64";
/**
 * As old as the programs' compilers allow. What newer ones have, QEMU emulates at a price, and not always well: with
 * protection keys V8 crashes every now and then.
 */
const CPU = "Nehalem";
const MEMORY_MEGABYTES = 2048;
/** What the kernel need not spend time on: wiping memory, waiting long for what is the same soon, and emulated CPUs' bugs. */
const SETTINGS = "mitigations=off init_on_alloc=0 rcupdate.rcu_expedited=1";

export interface GuestOptions {
  initrd: string;
  disk: string;
  /** Folder for the console's log and the results; emptied first. */
  folder: string;
  /** After this long the guest is switched off, ms. */
  timeout: number;
  processors: number;
}

export interface GuestRun {
  results: GuestResult[];
  /** Whether the guest came to its end by itself. */
  ended: boolean;
  /** File with what the guest's console said. */
  console: string;
  seconds: number;
}

/** Boots a kernel, waits for the end of its suite, and reads what it sent. @throws MatrixError if QEMU does not run */
export async function runGuest(kernel: Kernel, options: GuestOptions): Promise<GuestRun> {
  rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(options.folder, { recursive: true });
  const console = join(options.folder, "console.log");
  const resultFile = join(options.folder, "results.jsonl");
  const start = performance.now();
  await runToEnd(QEMU, qemuArguments(kernel, options, { console, resultFile }), { timeout: options.timeout });
  return readRun({ console, resultFile, start });
}

/** What was reported until now. */
export function readRun(from: { console: string; resultFile: string; start: number }): GuestRun {
  const results = parseResults(readFileSync(from.resultFile, "utf8"));
  const seconds = Math.round((performance.now() - from.start) / 1000);
  return { results, ended: results.some(({ kind }) => kind === "end"), console: from.console, seconds };
}

function qemuArguments(
  kernel: Kernel,
  { initrd, disk, processors }: GuestOptions,
  files: { console: string; resultFile: string },
): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35"],
    // Software emulation only: it is the same everywhere, and nested virtualisation is not.
    ...["-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", `${processors}`, "-m", `${MEMORY_MEGABYTES}`],
    ...["-kernel", kernel.image, "-initrd", initrd],
    // What the kernel does not know it leaves to guest/start.
    ...["-append", `console=ttyS0 quiet panic=-1 ${SETTINGS}${kernel.hybrid === true ? " guest.hybrid" : ""}`],
    ...["-serial", `file:${files.console}`, "-serial", `file:${files.resultFile}`],
    ...["-drive", `file=${disk},if=none,id=disk,format=raw,readonly=on`, "-device", "virtio-blk-pci,drive=disk"],
  ];
}
