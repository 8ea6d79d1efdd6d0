/** Reading files that others may have put there. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

/**
 * What a file holds, if it is a regular one: a FIFO or a device, which would make the reader wait or do things, has
 * nothing. A link in the last part of the path is not followed.
 *
 * @param limit bytes; what is beyond is left out
 * @returns null where it is no regular file
 * @throws Node's error where it cannot be opened; ELOOP for a link
 */
export function readRegularFile(path: string, limit: number): string | null {
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY);
  try {
    if (!fstatSync(file).isFile()) return null;
    const content = Buffer.alloc(limit);
    let length = 0;
    for (let read = -1; read !== 0 && length < limit; length += read) {
      read = readSync(file, content, length, limit - length, null);
    }
    return content.toString("utf8", 0, length);
  } finally {
    closeSync(file);
  }
}
