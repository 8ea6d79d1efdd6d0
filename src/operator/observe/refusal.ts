/** An observer is not let in. It is reported as the API server would tell it, so that kubectl prints the words. */
import { PortcullisError } from "../../api/errors.ts";

export type RefusalReason =
  | "BadRequest"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "Conflict"
  | "TooManyRequests"
  | "ServiceUnavailable"
  | "InternalError";

const STATUS: Readonly<Record<RefusalReason, number>> = {
  BadRequest: 400,
  Unauthorized: 401,
  Forbidden: 403,
  NotFound: 404,
  Conflict: 409,
  TooManyRequests: 429,
  ServiceUnavailable: 503,
  InternalError: 500,
};

export class ObserveRefusal extends PortcullisError {
  readonly reason: RefusalReason;

  constructor(reason: RefusalReason, message: string, options?: ErrorOptions) {
    super("PC_OBSERVE_REFUSED", message, options);
    this.reason = reason;
  }

  /** Of HTTP. */
  get status(): number {
    return STATUS[this.reason];
  }

  /** As the API server writes errors. */
  get body(): object {
    const { status: code, reason, message } = this;
    return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
  }
}
