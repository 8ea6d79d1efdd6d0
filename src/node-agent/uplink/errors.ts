/** Errors of the agent's side of the connection to the operator. */
import { PortcullisError } from "../../api/errors.ts";

/** The operator cannot be connected to as configured: no token, no certificate, a wrong address. */
export class OperatorConnectionError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_OPERATOR_CONNECTION", message, options);
  }
}

/** The kept state cannot be read, and is left aside. */
export class KeptStateError extends PortcullisError {
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      "PC_KEPT_STATE",
      `the state kept in ${path} cannot be read (${reason}); the operator is asked for all of it`,
      options,
    );
  }
}
