/** Whether this kernel has TCX (6.6 and later, unless built without). */
import { linkCreate } from "../../ffi/bpf.ts";
import { ERRNO, isKernelError, KernelError } from "../../ffi/errno.ts";
import { closeFd } from "../../ffi/libc.ts";
import { loadProgram } from "../../ffi/programs.ts";
import { RETURN_NEXT } from "../instructions.ts";
import { ATTACH_TYPE, PROGRAM_TYPE } from "../program-types.ts";

/** No interface has this number. */
const NO_INTERFACE = 0x7fffffff;

let known: boolean | null = null;

/** Asks for a link on an interface that cannot be: with TCX the kernel misses the interface, without it the type. */
export function hasTcx(): boolean {
  known ??= askTcx();
  return known;
}

function askTcx(): boolean {
  const { result, log } = loadProgram({ name: "probe_tcx", type: PROGRAM_TYPE.SCHED_CLS, code: RETURN_NEXT });
  if (result < 0) {
    throw new KernelError({ operation: "load", object: "a TC program", errno: -result, detail: log });
  }
  try {
    closeFd(linkCreate(result, NO_INTERFACE, ATTACH_TYPE.TCX_INGRESS, 0, "a TCX link"));
    return true;
  } catch (error) {
    if (isKernelError(error, ERRNO.ENODEV)) return true;
    if (isKernelError(error, ERRNO.EINVAL, ERRNO.EOPNOTSUPP)) return false;
    throw error;
  } finally {
    closeFd(result);
  }
}
