/** One guest: a kernel, booted under software emulation, with the results that it sends. */
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { MatrixError } from "./errors.ts";
import type { Kernel } from "./kernel-cache.ts";
import type { GuestResult } from "./results.ts";
import { parseResults } from "./results.ts";

const QEMU = "qemu-system-x86_64";
/** Without protection keys: with them, as QEMU emulates them, V8 crashes every now and then, most of all on new kernels. */
const CPU = "max,-pku";
const MEMORY_MEGABYTES = 2048;
const PROCESSORS = 2;

export interface GuestOptions {
  initrd: string;
  disk: string;
  /** Folder for the console's log and the results; emptied first. */
  folder: string;
  /** After this long the guest is switched off, ms. */
  timeout: number;
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
  await runQemu(qemuArguments(kernel, options, { console, resultFile }), options.timeout);
  const results = parseResults(readFileSync(resultFile, "utf8"));
  const seconds = Math.round((performance.now() - start) / 1000);
  return { results, ended: results.some(({ kind }) => kind === "end"), console, seconds };
}

function qemuArguments(
  kernel: Kernel,
  { initrd, disk }: GuestOptions,
  files: { console: string; resultFile: string },
): string[] {
  return [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine", "q35"],
    // Software emulation only: it is the same everywhere, and nested virtualisation is not.
    ...["-accel", "tcg,thread=multi", "-cpu", CPU, "-smp", `${PROCESSORS}`, "-m", `${MEMORY_MEGABYTES}`],
    ...["-kernel", kernel.image, "-initrd", initrd],
    // What the kernel does not know it leaves to guest/start.
    ...["-append", `console=ttyS0 quiet panic=-1 mitigations=off${kernel.hybrid === true ? " guest.hybrid" : ""}`],
    ...["-serial", `file:${files.console}`, "-serial", `file:${files.resultFile}`],
    ...["-drive", `file=${disk},if=none,id=disk,format=raw,readonly=on`, "-device", "virtio-blk-pci,drive=disk"],
  ];
}

/** Ends with the guest, at the time limit, or with this process, whichever comes first. */
function runQemu(args: readonly string[], timeout: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const qemu = spawn(QEMU, args, { stdio: ["ignore", "ignore", "pipe"] });
    const stop = (): void => {
      qemu.kill("SIGKILL");
    };
    const timer = setTimeout(stop, timeout);
    let words = "";
    qemu.stderr.on("data", (data: Buffer) => {
      words += data.toString();
    });
    process.once("exit", stop);
    const settle = (error?: MatrixError): void => {
      clearTimeout(timer);
      process.off("exit", stop);
      if (error === undefined) resolve();
      else reject(error);
    };
    qemu.once("error", (cause) => settle(new MatrixError(`cannot run ${QEMU}: ${cause.message}`, { cause })));
    qemu.once("close", (status) => {
      settle(
        status === 0 || status === null ? undefined : new MatrixError(`${QEMU} failed (${status}): ${words.trim()}`),
      );
    });
  });
}
