/** BPF instructions for the tiny programs of probes and tests: Documentation/bpf/instruction-set.rst of the kernel. */

const ALU64_MOV_IMMEDIATE = 0xb7;
const JUMP_EXIT = 0x95;

function instruction(opcode: number, register: number, immediate: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(register, 1);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

/** A program that returns a number. */
export function returning(value: number): Buffer {
  return Buffer.concat([instruction(ALU64_MOV_IMMEDIATE, 0, value), instruction(JUMP_EXIT, 0, 0)]);
}

/** TC_ACT_UNSPEC, TCX_NEXT: go on with the next program. */
export const RETURN_NEXT = returning(-1);
/** Cgroup hooks: allow. */
export const RETURN_ALLOW = returning(1);
/** Tracing programs may return nothing else. */
export const RETURN_ZERO = returning(0);
