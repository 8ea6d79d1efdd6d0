/**
 * What probes find. There are three answers, as in cilium/ebpf's package `features`: a kernel that says no is not the same as
 * one that could not be asked.
 */
import { causeText } from "../../../api/errors.ts";
import { ERRNO, isKernelError } from "../../ffi/errno.ts";

/** `unknown`: it could not be found out; it is not used then. */
export type FeatureState = "supported" | "missing" | "unknown";

/** What a probe found; `detail` says what is there, what is missing and what would bring it, or what kept it from being found out. */
export interface Finding {
  state: FeatureState;
  detail: string;
}

export function supported(detail: string): Finding {
  return { state: "supported", detail };
}

export function missing(detail: string): Finding {
  return { state: "missing", detail };
}

export function unknown(detail: string): Finding {
  return { state: "unknown", detail };
}

export function supportedIf(isThere: boolean, there: string, lacking: string): Finding {
  return isThere ? supported(there) : missing(lacking);
}

/** Errors of a kernel that does not have what it is asked for. Others leave it open: EPERM and ENOMEM above all. */
const REFUSALS: readonly number[] = [ERRNO.EINVAL, ERRNO.ENOENT, ERRNO.E2BIG, ERRNO.EOPNOTSUPP, ERRNO.ENOTSUPP];

/** Whether an error number, positive, means that the kernel lacks what it was asked for. */
export function isRefusal(errno: number): boolean {
  return REFUSALS.includes(errno);
}

/** What an error that a probe has thrown says. */
function findingOf(error: unknown): Finding {
  return isKernelError(error, ...REFUSALS) ? missing(causeText(error)) : unknown(causeText(error));
}

/** Runs a probe, which may throw. */
export function found(find: () => Finding): Finding {
  try {
    return find();
  } catch (error) {
    return findingOf(error);
  }
}

/**
 * A probe of the kernel. A definite answer is kept: the kernel stays as it is.
 * @param since the first version of Linux that has it, as listed in bcc's docs/kernel-versions.md; named where it is missing
 */
export function kernelProbe(since: string, find: () => Finding): () => Finding {
  let known: Finding | null = null;
  return () => {
    if (known !== null) return known;
    const finding = found(find);
    if (finding.state === "unknown") return finding;
    known = finding.state === "missing" ? missing(`${finding.detail}; it takes Linux ${since} or later`) : finding;
    return known;
  };
}
