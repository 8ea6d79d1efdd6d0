/** A program that puts packets into pods past the node's end of their veths, as the CNI's on some nodes. */
import { KernelError } from "../../ffi/errno.ts";
import { closeFd } from "../../ffi/libc.ts";
import { loadProgram } from "../../ffi/programs.ts";
import { REDIRECT_TO_PEER, RETURN_NEXT } from "../instructions.ts";
import { PROGRAM_TYPE } from "../program-types.ts";

const INSTRUCTION_SIZE = 8;
/** Not just what the search for such programs loads itself, for comparison. */
const CODE = Buffer.concat([RETURN_NEXT.subarray(0, INSTRUCTION_SIZE), REDIRECT_TO_PEER]);

/** Loads it, attached nowhere, until the result is disposed of. @throws KernelError */
export function loadPeerRedirect(name: string): Disposable {
  const { result } = loadProgram({ name, type: PROGRAM_TYPE.SCHED_CLS, code: CODE });
  if (result < 0) throw new KernelError({ operation: "load", object: `program ${name}`, errno: -result });
  return { [Symbol.dispose]: () => closeFd(result) };
}
