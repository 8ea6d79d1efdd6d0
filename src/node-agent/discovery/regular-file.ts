/** Reading files that others may have put there. */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { causeCode } from "../../api/errors.ts";

/**
 * What a file holds, if it is a regular one: a FIFO or a device, which would make the reader wait or do things, has
 * nothing. A link in the last part of the path is not followed.
 *
 * @param limit bytes; what is beyond is left out
 * @returns null where it is no regular file
 * @throws Node's error where it cannot be opened; ELOOP for a link
 */
export async function readRegularFile(path: string, limit: number): Promise<Buffer | null> {
  await using file = await open(
    path,
    constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY,
  );
  if (!(await file.stat()).isFile()) return null;
  const content = Buffer.alloc(limit);
  let length = 0;
  for (let read = -1; read !== 0 && length < limit; length += read) {
    read = await file.read(content, length, limit - length, null).then(({ bytesRead }) => bytesRead, nothingYet);
  }
  return content.subarray(0, length);
}

/** Some files of the kernel's would wait for more to come. */
function nothingYet(cause: unknown): number {
  if (causeCode(cause) === "EAGAIN") return 0;
  throw cause;
}
