/** Failures of the matrix itself: of what it downloads, builds and boots, not of what is tested. */
import { PortcullisError } from "../../src/api/errors.ts";

/** A step before, around or after a guest failed. */
export class MatrixError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_KERNEL_MATRIX", message, options);
  }
}
