/** perf_event_open(2), as far as it takes to put a probe on a kernel function. */
import koffi from "koffi";
import { KernelError } from "./errno.ts";
import { Library } from "./library.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");

const ATTRIBUTES = "PcPerfEventAttributes";
/** struct perf_event_attr of linux/perf_event.h, version 1: config1 is the function's name, config2 the offset in it. */
koffi.struct(ATTRIBUTES, {
  type: "uint32_t",
  size: "uint32_t",
  before: koffi.array("uint8_t", 48),
  config1: "const char *",
  config2: "uint64_t",
});

type PerfEventOpen = (
  call: number,
  attributes: Record<string, unknown>,
  pid: number,
  cpu: number,
  group: number,
  flags: number,
) => number;

const syscall = libc.declare<PerfEventOpen>(
  `long syscall(long call, ${ATTRIBUTES} *attributes, int pid, int cpu, int group, ulong flags)`,
);

/** Number of perf_event_open in asm/unistd.h, by Node's name of the architecture. */
const CALL_NUMBERS: Readonly<Record<string, number>> = { x64: 298, arm64: 241 };

/**
 * Opens a probe at the start of a kernel function; nothing is attached to it.
 *
 * @param kind the number in /sys/bus/event_source/devices/kprobe/type
 * @returns a file descriptor, to be closed
 * @throws KernelError
 */
export function openFunctionProbe(kind: number, functionName: string): number {
  const attributes = {
    type: kind,
    size: koffi.sizeof(ATTRIBUTES),
    before: new Uint8Array(48),
    config1: functionName,
    config2: 0n,
  };
  const fd = syscall(CALL_NUMBERS[process.arch] ?? -1, attributes, -1, 0, -1, 0);
  if (fd < 0) throw new KernelError({ operation: "probe", object: functionName, errno: koffi.errno() });
  return fd;
}
