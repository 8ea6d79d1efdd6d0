/**
 * How many instructions the verifier walked through. Kernels before 5.16 tell it in its log only, for which the agent has no
 * use, so that it is read here.
 */
import {
  closeObject,
  describeProgram,
  listMaps,
  listPrograms,
  loadObject,
  openObject,
  type ProgramPointer,
  programFd,
  setAutoload,
  setUnpinned,
} from "../../src/node-agent/ffi/libbpf.ts";
import { libbpf } from "../../src/node-agent/ffi/libbpf-library.ts";
import type { BpfObject } from "../../src/node-agent/kernel/objects.ts";

/** No program may need more than half of the kernel's limit (BPF_COMPLEXITY_LIMIT_INSNS of linux/bpf.h). */
export const VERIFIED_MAX = 500_000;

/** BPF_LOG_STATS of linux/bpf_verifier.h: the statistics, and no more. */
const STATISTICS = 4;
/** What the verifier writes on its way has to fit too, though it is gone at the end. */
const LOG_SIZE = 1 << 20;
/** print_verification_stats() of kernel/bpf/verifier.c. */
const PROCESSED = /^processed (\d+) insns/m;

const native = {
  setLogLevel: libbpf.declare<(program: ProgramPointer, level: number) => number>(
    "int bpf_program__set_log_level(void *program, uint32_t level)",
  ),
  setLogBuffer: libbpf.declare<(program: ProgramPointer, buffer: Uint8Array, size: number) => number>(
    "int bpf_program__set_log_buf(void *program, void *buffer, size_t size)",
  ),
};

/**
 * @param without the programs that were left out, because this kernel does not take them
 * @returns instructions by program
 */
export function verifiedInstructions(loaded: BpfObject, without: readonly string[]): Map<string, number> {
  const counts = new Map(loaded.infos().map(({ name, verifiedInstructions: count }) => [name, count]));
  return [...counts.values()].includes(0) ? loggedInstructions(loaded.path, without) : counts;
}

/** Loads an object for the verifier's statistics, and closes it again. @throws LoadError, without the verifier's log */
function loggedInstructions(path: string, without: readonly string[]): Map<string, number> {
  const object = openObject(path, null);
  // These do not move, and are kept until the object is closed.
  const logs = new Map<ProgramPointer, Buffer>();
  try {
    listMaps(object).forEach(setUnpinned);
    for (const program of listPrograms(object)) {
      if (without.includes(describeProgram(program).name)) setAutoload(program, false);
      const log = Buffer.alloc(LOG_SIZE);
      logs.set(program, log);
      native.setLogLevel(program, STATISTICS);
      native.setLogBuffer(program, log, LOG_SIZE);
    }
    loadObject(object, path);
    const loaded = [...logs].filter(([program]) => programFd(program) !== null);
    return new Map(loaded.map(([program, log]) => [describeProgram(program).name, processed(log)]));
  } finally {
    closeObject(object);
    logs.clear();
  }
}

function processed(log: Buffer): number {
  const text = log.toString("utf8", 0, log.indexOf(0));
  const [, count] = PROCESSED.exec(text) ?? [];
  if (count === undefined) throw new Error(`the verifier's statistics say nothing of instructions: ${text}`);
  return Number(count);
}
