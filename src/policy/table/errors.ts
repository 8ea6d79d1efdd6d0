/** Errors of the policy room. */
import { PortcullisError } from "../../api/errors.ts";

/** Profiles that are valid each by itself but cannot be compiled into one rule table. Code PC_COMPILE. */
export class CompileError extends PortcullisError {
  constructor(message: string) {
    super("PC_COMPILE", message);
  }
}

/** Text that is not a rule table as `serializeTable` writes it. Code PC_TABLE_FORMAT. */
export class TableFormatError extends PortcullisError {
  constructor(message: string) {
    super("PC_TABLE_FORMAT", message);
  }
}
