/** Names and texts of the kernel's error numbers, and the error class of everything that asks the kernel for something. */
import koffi from "koffi";
import type { ErrorCode } from "../../api/error-codes.ts";
import { PortcullisError } from "../../api/errors.ts";

/** The error numbers that callers tell apart; asm-generic/errno.h, the same on x86-64 and arm64. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  ENOSPC: 28,
  ENOTSOCK: 88,
  EOPNOTSUPP: 95,
  ENOLINK: 67,
  ENOPROTOOPT: 92,
  ESTALE: 116,
  /** Internal to the kernel (include/linux/errno.h), but the bpf system call lets it out. */
  ENOTSUPP: 524,
} as const;

/** Aliases that would otherwise hide the usual name of the same number. */
const ALIASES = new Set(["EWOULDBLOCK", "ENOTSUP", "EDEADLOCK"]);

const NAMES: ReadonlyMap<number, string> = new Map([
  ...Object.entries(koffi.os.errno)
    .filter(([name]) => !ALIASES.has(name))
    .map(([name, number]): [number, string] => [number, name]),
  [ERRNO.ENOTSUPP, "ENOTSUPP"],
]);

const TEXTS: ReadonlyMap<number, string> = new Map([
  [ERRNO.EPERM, "operation not permitted"],
  [ERRNO.ENOENT, "no such object"],
  [ERRNO.E2BIG, "too big, or full"],
  [ERRNO.EAGAIN, "try again"],
  [ERRNO.ENOMEM, "out of memory"],
  [ERRNO.EACCES, "permission denied"],
  [ERRNO.EBUSY, "busy"],
  [ERRNO.EEXIST, "exists already"],
  [ERRNO.ENODEV, "no such device"],
  [ERRNO.EINVAL, "invalid argument, or not known to this kernel"],
  [ERRNO.ENOSPC, "no space left"],
  [ERRNO.EOPNOTSUPP, "not supported"],
  [ERRNO.ENOTSUPP, "not supported"],
]);

const REMEDIES: ReadonlyMap<number, string> = new Map([
  [ERRNO.EPERM, "Run as root, or with the capabilities and lockdown state that `portcullis doctor` asks for"],
  [ERRNO.ENOMEM, "Free memory on the node, or raise the memory limit of the agent"],
]);

const DEFAULT_REMEDY = "`portcullis doctor` shows what this node offers and what is missing";

/** `ENOENT` for 2; `errno 9999` for numbers without a name. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

/** What failed, for the message of a `KernelError`. */
export interface KernelFailure {
  /** A verb: "load", "attach", "read". */
  operation: string;
  /** What it was done to: "map flows", "program from_workload on interface 7". */
  object: string;
  /** Positive error number. */
  errno: number;
  /** More on what happened, e.g. libbpf's log. */
  detail?: string;
  /** What to do about it; there is a default per error number. */
  remedy?: string;
  /** `PC_KERNEL` unless given. */
  code?: ErrorCode;
}

/** The kernel, or the library in front of it, refused something. */
export class KernelError extends PortcullisError {
  readonly operation: string;
  readonly object: string;
  readonly errno: number;
  readonly errnoName: string;

  constructor(failure: KernelFailure, options?: ErrorOptions) {
    const { operation, object, errno, detail } = failure;
    const name = errnoName(errno);
    const text = TEXTS.get(errno);
    const what = `cannot ${operation} ${object}: ${text === undefined ? name : `${text} (${name})`}`;
    const remedy = failure.remedy ?? REMEDIES.get(errno) ?? DEFAULT_REMEDY;
    super(failure.code ?? "PC_KERNEL", `${what}${detail ? `: ${detail}` : ""}. ${remedy}`, options);
    this.operation = operation;
    this.object = object;
    this.errno = errno;
    this.errnoName = name;
  }
}

/** True for a `KernelError` with one of these error numbers. */
export function isKernelError(error: unknown, ...errnos: number[]): error is KernelError {
  return error instanceof KernelError && (errnos.length === 0 || errnos.includes(error.errno));
}

/** Turns the `-errno` that libbpf's functions return into an exception; other results pass through. */
export function checkResult(result: number, operation: string, object: string): number {
  if (result < 0) throw new KernelError({ operation, object, errno: -result });
  return result;
}
