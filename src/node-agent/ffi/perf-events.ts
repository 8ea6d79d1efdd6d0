/** perf_event_open(2), as far as it takes to put a probe, and a program, on a kernel function. */
import koffi from "koffi";
import { KernelError } from "./errno.ts";
import { Library } from "./library.ts";

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");

const ATTRIBUTES = "PcPerfEventAttributes";
/** struct perf_event_attr of linux/perf_event.h, version 1: config1 is the function's name, config2 the offset in it. */
koffi.struct(ATTRIBUTES, {
  type: "uint32_t",
  size: "uint32_t",
  config: "uint64_t",
  before: koffi.array("uint8_t", 40),
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

const ioctl = libc.declare<(fd: number, request: number, argument: number) => number>(
  "int ioctl(int fd, ulong request, ulong argument)",
);

/** linux/perf_event.h: _IOW('$', 8, __u32), _IO('$', 0). */
const PERF_EVENT_IOC_SET_BPF = 0x40042408;
const PERF_EVENT_IOC_ENABLE = 0x2400;
/** PERF_PROBE_CONFIG_IS_RETPROBE of kernel/trace/trace_event_perf.c; /sys/bus/event_source/devices/kprobe/format. */
const AT_RETURN = 1n;

/**
 * Opens a probe at the start of a kernel function, or at its return; nothing is attached to it.
 *
 * @param kind the number in /sys/bus/event_source/devices/kprobe/type
 * @returns a file descriptor, to be closed
 * @throws KernelError
 */
export function openFunctionProbe(kind: number, functionName: string, atReturn = false): number {
  const attributes = {
    type: kind,
    size: koffi.sizeof(ATTRIBUTES),
    config: atReturn ? AT_RETURN : 0n,
    before: new Uint8Array(40),
    config1: functionName,
    config2: 0n,
  };
  const fd = syscall(CALL_NUMBERS[process.arch] ?? -1, attributes, -1, 0, -1, 0);
  if (fd < 0) throw new KernelError({ operation: "probe", object: functionName, errno: koffi.errno() });
  return fd;
}

/**
 * Makes a program run at a probe, until the probe's file descriptor is closed. Kernels before 5.15 know no other way.
 *
 * @throws KernelError
 */
export function attachToProbe(probe: number, program: number, label: string): void {
  for (const [request, argument] of [
    [PERF_EVENT_IOC_SET_BPF, program],
    [PERF_EVENT_IOC_ENABLE, 0],
  ] as const) {
    if (ioctl(probe, request, argument) < 0) {
      throw new KernelError({ operation: "attach", object: label, errno: koffi.errno() });
    }
  }
}
