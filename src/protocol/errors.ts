/** Errors of what operator and agents say to each other. */
import { PortcullisError } from "../api/errors.ts";

export const STATE_HASH_CODE = "PC_STATE_HASH";

/** A State that cannot be applied. `code` goes into the Refusal. */
export class StateError extends PortcullisError {
  constructor(code: "PC_STATE_HASH" | "PC_STATE_FORMAT", message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}
