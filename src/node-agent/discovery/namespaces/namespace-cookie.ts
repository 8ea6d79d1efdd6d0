/** Cookies of network namespaces: unlike inode numbers they are never used again. */
import { closeSync, fstatSync, openSync } from "node:fs";
import { causeCode } from "../../../api/errors.ts";
import { inNetworkNamespace } from "../../ffi/namespaces.ts";
import { networkNamespaceCookie } from "../../ffi/sockets.ts";

/**
 * The cookie of the namespace at `path`; null if another one is there by now, or none.
 *
 * @param inum inode number of the namespace that is meant
 * @param otherwise tells it of a socket in there, on kernels that do not (before 5.14)
 * @throws KernelError; Node's error where it is there and cannot be opened
 */
export function namespaceCookie(path: string, inum: number, otherwise: (socket: number) => bigint): bigint | null {
  const fd = openIfThere(path);
  if (fd === null) return null;
  try {
    return fstatSync(fd).ino === inum ? inNetworkNamespace(fd, () => networkNamespaceCookie(otherwise)) : null;
  } finally {
    closeSync(fd);
  }
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, "r");
  } catch (error) {
    if (causeCode(error) === "ENOENT") return null;
    throw error;
  }
}
