/**
 * The errors of every room. A failure that a user may see is a `PortcullisError`: its `code` is one of error-codes.ts, its
 * message says what happened, to what, and what to do about it.
 */
import type { ErrorCode } from "./error-codes.ts";

/** Base of all errors that Portcullis raises on purpose. A room with errors of its own derives a class from it. */
export class PortcullisError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The command line was used wrongly: bad option, missing argument. Commands exit 2 on it. */
export class UsageError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions, code: ErrorCode = "PC_USAGE") {
    super(code, message, options);
  }
}

/** Settings contradict each other. Code PC_SETTINGS_CONFLICT. */
export class SettingsError extends UsageError {
  constructor(message: string) {
    super(message, {}, "PC_SETTINGS_CONFLICT");
  }
}

/** A file or folder that was named cannot be read. `path` is as the user gave it. */
export class UnreadableError extends PortcullisError {
  readonly path: string;

  constructor(path: string, cause: unknown) {
    super("PC_UNREADABLE", `cannot read ${path}: ${fileFault(cause)}`, { cause });
    this.path = path;
  }
}

/** A state that the program's own logic rules out. Seeing one is a bug in Portcullis. */
export class InternalError extends PortcullisError {
  constructor(message: string, options?: ErrorOptions) {
    super("PC_INTERNAL", `${message}. This is a bug in Portcullis; please report it`, options);
  }
}

/** One line of text about anything that was thrown, for use at the end of a message. */
export function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/** As causeText, behind a path: Node repeats the path and names the system call, which says nothing to whoever named the file. */
export function fileFault(cause: unknown): string {
  const code = causeCode(cause);
  const [, words] = /^E[A-Z0-9]+: ([^,]+), \w+/.exec(causeText(cause)) ?? [];
  return words === undefined ? causeText(cause) : `${words} (${code})`;
}

/** The code of anything that was thrown: ours, Node's (`ENOENT`), or null. */
export function causeCode(cause: unknown): string | null {
  if (typeof cause !== "object" || cause === null || !("code" in cause)) return null;
  return typeof cause.code === "string" ? cause.code : null;
}
