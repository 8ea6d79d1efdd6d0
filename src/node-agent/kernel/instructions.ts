/** BPF instructions for the tiny programs of probes and tests: Documentation/bpf/instruction-set.rst of the kernel. */

const ALU64_MOV_IMMEDIATE = 0xb7;
const JUMP_EXIT = 0x95;

/** @param registers destination in the low half, source in the high one */
function instruction(opcode: number, registers: number, immediate: number, offset = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(opcode, 0);
  bytes.writeUInt8(registers, 1);
  bytes.writeInt16LE(offset, 2);
  bytes.writeInt32LE(immediate, 4);
  return bytes;
}

/** The number of a BPF instruction that calls a helper: its own (linux/bpf.h), or once loaded, its place in the kernel. */
const CALL = 0x85;
const INSTRUCTION_SIZE = 8;

/** What helpers a program calls, in the form that its calls have. */
export function calledHelpers(code: Buffer): Set<number> {
  const called = new Set<number>();
  for (let at = 0; at + INSTRUCTION_SIZE <= code.length; at += INSTRUCTION_SIZE) {
    // Another source than register 0 says that this is no helper's, but a function's of the program or the kernel.
    const isHelper = code.readUInt8(at) === CALL && code.readUInt8(at + 1) >> 4 === 0;
    if (isHelper) called.add(code.readInt32LE(at + 4));
  }
  return called;
}

/** A program that returns a number. */
export function returning(value: number): Buffer {
  return Buffer.concat([instruction(ALU64_MOV_IMMEDIATE, 0, value), instruction(JUMP_EXIT, 0, 0)]);
}

/** `struct bpf_iter__task_file`: the file is its fourth member. */
const ITERATOR_FILE = 24;
const LOAD_64 = 0x79;
const JUMP_EQUAL = 0x15;
const SOCK_FROM_FILE = 162;

/** For an iterator over files: calls bpf_sock_from_file for each. */
export const SOCKET_OF_FILE = Buffer.concat([
  // r1 = the file; if it is none, over the call
  instruction(LOAD_64, 0x11, 0, ITERATOR_FILE),
  instruction(JUMP_EQUAL, 1, 0, 1),
  instruction(CALL, 0, SOCK_FROM_FILE),
  returning(0),
]);
const REDIRECT_PEER = 155;
const LOOPBACK = 1;

/** For TC: hands each packet to the other end of an interface, which cannot be one. */
export const REDIRECT_TO_PEER = Buffer.concat([
  instruction(ALU64_MOV_IMMEDIATE, 1, LOOPBACK),
  instruction(ALU64_MOV_IMMEDIATE, 2, 0),
  instruction(CALL, 0, REDIRECT_PEER),
  instruction(JUMP_EXIT, 0, 0),
]);
/** TC_ACT_UNSPEC, TCX_NEXT: go on with the next program. */
export const RETURN_NEXT = returning(-1);
/** Cgroup hooks: allow. */
export const RETURN_ALLOW = returning(1);
/** Tracing programs may return nothing else. */
export const RETURN_ZERO = returning(0);
