/** What the tests of this folder share: objects, a pin folder of their own, a network namespace of their own. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setNetworkNamespace, unshareNetworkNamespace } from "../../ffi/libc.ts";
import { BPFFS_PATH, ensureBpffs, ensurePinFolder, removePinFolder } from "../bpffs.ts";

const ROOT = join(import.meta.dirname, "../../../..");

/** Path of a built object under bpf/test; built if it is not up to date. */
export function testObject(name: string): string {
  const path = `build/bpf/${name}.bpf.o`;
  execFileSync("make", ["-s", path], { cwd: ROOT });
  return join(ROOT, path);
}

/** A folder for pins that goes, with its pins, at the end of the test file. */
export class PinFolder implements Disposable {
  readonly path: string;

  constructor(name: string) {
    ensureBpffs();
    this.path = join(BPFFS_PATH, `pc-kernel-${name}-${process.pid}`);
    ensurePinFolder(this.path);
  }

  [Symbol.dispose](): void {
    removePinFolder(this.path);
  }
}

/** Runs `work` in a new, empty network namespace, which is gone afterwards. */
export function inNewNamespace<T>(work: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    unshareNetworkNamespace();
    return work();
  } finally {
    setNetworkNamespace(home);
    closeSync(home);
  }
}

/** Runs a command; `ip link add ...` in the namespace of the thread. */
export function run(command: string): string {
  const [program = "", ...args] = command.split(" ");
  return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** An Ethernet frame with nothing in it. */
export const FRAME = Buffer.alloc(64);
