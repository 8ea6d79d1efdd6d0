/** Errors of what is asked of the API server. */
import { PortcullisError } from "../api/errors.ts";

/** The API server answered with an error. Code PC_KUBE_API. */
export class ApiError extends PortcullisError {
  /** HTTP status. */
  readonly status: number;
  /** Kubernetes' own word for it, such as `NotFound`, `Expired` or `Conflict`; empty where it gave none. */
  readonly reason: string;
  /** How long it asks to wait before the next try, in milliseconds; null where it does not say. */
  readonly retryAfter: number | null;

  constructor(request: string, status: number, reason: string, message: string, retryAfter: number | null = null) {
    super("PC_KUBE_API", `${request}: the API server answers ${status}${reason && ` ${reason}`}: ${message}`);
    this.status = status;
    this.reason = reason;
    this.retryAfter = retryAfter;
  }
}

/** The API server cannot be reached, or its answer broke off. Code PC_KUBE_UNREACHABLE. */
export class UnreachableError extends PortcullisError {
  constructor(request: string, cause: unknown) {
    const text = cause instanceof Error ? cause.message || String(cause) : String(cause);
    super("PC_KUBE_UNREACHABLE", `${request}: the API server cannot be reached: ${text}`, { cause });
  }
}

/** An answer is larger than the asker has room for; it was broken off. Code PC_KUBE_TOO_LARGE. */
export class TooLargeError extends PortcullisError {
  constructor(request: string, bytes: number) {
    super("PC_KUBE_TOO_LARGE", `${request}: the answer is larger than ${bytes} bytes; ask for less at a time`);
  }
}

/** A stream is open and says nothing, not even that there is nothing to say. Code PC_KUBE_SILENT. */
export class SilentError extends PortcullisError {
  constructor(request: string, milliseconds: number) {
    super("PC_KUBE_SILENT", `${request}: nothing has come for ${milliseconds} ms`);
  }
}

/** There is no usable configuration of a cluster. Code PC_KUBE_CONFIG. */
export class KubeConfigError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_KUBE_CONFIG", message, options);
  }
}

/** The object does not exist. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** Somebody else has changed, or made, the object meanwhile. */
export function isConflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}

/** The version or the continuation that was asked for is no longer kept: list again. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410;
}

/** What the API server asked to wait, if this is such an answer. */
export function retryAfterOf(error: unknown): number | null {
  return error instanceof ApiError ? error.retryAfter : null;
}
