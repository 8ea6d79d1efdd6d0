/** What the kernel knows of a loaded program: `struct bpf_prog_info` of linux/bpf.h. */
import { enableRunTimeStatistics, objectInfo } from "../ffi/bpf.ts";
import { closeFd } from "../ffi/libc.ts";

export interface ProgramInfo {
  id: number;
  /** At most 15 bytes: the kernel cuts longer names. */
  name: string;
  /** enum bpf_prog_type. */
  type: number;
  /** Instructions the verifier walked through, over all paths; 0 on kernels before 5.16, which do not tell. */
  verifiedInstructions: number;
  /** Instructions after verification. */
  instructions: number;
  /** Machine code, bytes; 0 without JIT. */
  jitedBytes: number;
  /** Sum of all runs since `measureRunTimes`, ns. */
  runTime: bigint;
  runCount: bigint;
}

const INFO_SIZE = 232;
const INSTRUCTION_SIZE = 8;

/** @param label for the error message, if the file descriptor is not a program's */
export function programInfo(fd: number, label = `fd ${fd}`): ProgramInfo {
  const info = objectInfo(fd, INFO_SIZE, `program ${label}`);
  const nameEnd = info.indexOf(0, 64);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    jitedBytes: info.readUInt32LE(16),
    instructions: info.readUInt32LE(20) / INSTRUCTION_SIZE,
    name: info.toString("utf8", 64, Math.min(nameEnd, 80)),
    runTime: info.readBigUInt64LE(192),
    runCount: info.readBigUInt64LE(200),
    verifiedInstructions: info.readUInt32LE(216),
  };
}

/** Makes the kernel measure run times of all programs until the result is disposed of. Costs some 20 ns per run. */
export function measureRunTimes(): Disposable {
  const fd = enableRunTimeStatistics();
  return { [Symbol.dispose]: () => closeFd(fd) };
}
