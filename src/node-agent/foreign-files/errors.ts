import { PortcullisError } from "../../api/errors.ts";

/** Why a file that is not the node's own could not be looked at. */
export class ForeignFileError extends PortcullisError {}

/** The file system does not answer. */
export function hung(limit: number): ForeignFileError {
  return new ForeignFileError(
    "PC_FILES_HUNG",
    `a file system in it has not answered for ${limit / 1000} s: listed paths that are links are not followed, and what its files tell ` +
      "is not known, until it answers. See what is mounted in its containers (FUSE, network file systems)",
  );
}

/** It asks for more than it gets answered. */
export function busy(limit: number): ForeignFileError {
  return new ForeignFileError("PC_FILES_BUSY", `more than ${limit} looks at its files wait; this one is left out`);
}

/** The helper process is not there. */
export function helperGone(reason: string): ForeignFileError {
  return new ForeignFileError(
    "PC_FILES_HELPER",
    `the process that looks at pods' files is gone (${reason}); it is started again`,
  );
}

/** The look itself failed. */
export function lookFailed(message: string): ForeignFileError {
  return new ForeignFileError("PC_FILES_UNREADABLE", `a file in it could not be looked at: ${message}`);
}
