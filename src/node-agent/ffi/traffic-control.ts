/** clsact and its BPF filters, through libbpf. `kernel/classifiers.ts` decides which. */
import { ERRNO, KernelError } from "./errno.ts";
import { captureLog, libbpf } from "./libbpf-library.ts";

const native = {
  hookCreate: libbpf.declare<(hook: Uint8Array) => number>("int bpf_tc_hook_create(void *hook)"),
  hookDestroy: libbpf.declare<(hook: Uint8Array) => number>("int bpf_tc_hook_destroy(void *hook)"),
  attach: libbpf.declare<(hook: Uint8Array, options: Uint8Array) => number>(
    "int bpf_tc_attach(const void *hook, void *opts)",
  ),
  detach: libbpf.declare<(hook: Uint8Array, options: Uint8Array) => number>(
    "int bpf_tc_detach(const void *hook, const void *opts)",
  ),
};

/** enum bpf_tc_attach_point: what comes in at the interface, what goes out of it. */
export const TC_HOOK = { INGRESS: 1, EGRESS: 2 } as const;
export type TcHook = (typeof TC_HOOK)[keyof typeof TC_HOOK];
const TC_HOOK_BOTH = 3;
const REPLACE = 1;

/** Which filter: (interface, hook, priority, handle) names one. */
export interface FilterAddress {
  ifindex: number;
  hook: TcHook;
  priority: number;
  handle: number;
}

/** struct bpf_tc_hook: sz, ifindex at 8, attach_point at 12, parent at 16; 24 bytes. */
function hookStruct(ifindex: number, attachPoint: number): Buffer {
  const hook = Buffer.alloc(24);
  hook.writeUInt32LE(hook.length, 0);
  hook.writeInt32LE(ifindex, 8);
  hook.writeUInt32LE(attachPoint, 12);
  return hook;
}

/** struct bpf_tc_opts: sz, prog_fd at 8, flags at 12, prog_id at 16, handle at 20, priority at 24; 32 bytes. */
function optionsStruct(filter: FilterAddress, programFd: number, flags: number): Buffer {
  const options = Buffer.alloc(32);
  options.writeUInt32LE(options.length, 0);
  options.writeInt32LE(programFd, 8);
  options.writeUInt32LE(flags, 12);
  options.writeUInt32LE(filter.handle, 20);
  options.writeUInt32LE(filter.priority, 24);
  return options;
}

function run(operation: string, object: string, accepted: readonly number[], call: () => number): number {
  const { result, log } = captureLog(call);
  if (result < 0 && !accepted.includes(-result)) {
    throw new KernelError({ operation, object, errno: -result, detail: log });
  }
  return result;
}

/** Adds a clsact qdisc. @returns false if the interface has one already */
export function createClsact(ifindex: number): boolean {
  const hook = hookStruct(ifindex, TC_HOOK_BOTH);
  return run("add", `clsact on interface ${ifindex}`, [ERRNO.EEXIST], () => native.hookCreate(hook)) === 0;
}

/** Removes the clsact qdisc with all filters on it, whosever they are. */
export function destroyClsact(ifindex: number): void {
  const hook = hookStruct(ifindex, TC_HOOK_BOTH);
  const gone = [ERRNO.ENOENT, ERRNO.EINVAL, ERRNO.ENODEV];
  run("remove", `clsact on interface ${ifindex}`, gone, () => native.hookDestroy(hook));
}

/** Adds a direct-action filter, or replaces the one at this address at one stroke. */
export function attachFilter(filter: FilterAddress, programFd: number): void {
  const hook = hookStruct(filter.ifindex, filter.hook);
  const options = optionsStruct(filter, programFd, REPLACE);
  run("attach", `a filter to interface ${filter.ifindex}`, [], () => native.attach(hook, options));
}

/** Removes a filter. @returns false if there is none at this address */
export function detachFilter(filter: FilterAddress): boolean {
  const hook = hookStruct(filter.ifindex, filter.hook);
  const options = optionsStruct(filter, 0, 0);
  const gone = [ERRNO.ENOENT, ERRNO.EINVAL, ERRNO.ENODEV];
  return run("detach", `a filter from interface ${filter.ifindex}`, gone, () => native.detach(hook, options)) === 0;
}
