/** Reading one file of manifests, whatever it turns out to be. */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync, type Stats, statSync } from "node:fs";
import { UnreadableError } from "../../api/errors.ts";

/** Bytes. The API server takes 1.5 MB for an object; this is for many in one file. */
const SIZE_MAX = 32 * 1_048_576;

/** A descriptor that our caller has opened for us to be read to its end: `<(helm template .)` of a shell. */
const PASSED = /^\/dev\/(?:stdin|fd\/\d+)$/;

const KINDS: readonly (readonly [(status: Stats) => boolean, string])[] = [
  [(status) => status.isFIFO(), "a FIFO"],
  [(status) => status.isSocket(), "a socket"],
  [(status) => status.isCharacterDevice() || status.isBlockDevice(), "a device"],
  [(status) => status.isDirectory(), "a folder"],
];

/**
 * The text of a regular file, or of what a link leads to. What would make the reader wait is not read.
 * @throws UnreadableError, whose message names the file and what is wrong with it
 */
export function readManifestFile(path: string): string {
  try {
    // To open a device may do something, and a socket cannot be.
    if (PASSED.test(path)) return readFileSync(path, "utf8");
    refuseOthers(statSync(path));
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      refuseOthers(fstatSync(file));
      return readText(file);
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new UnreadableError(path, cause);
  }
}

function refuseOthers(status: Stats): void {
  if (status.isFile()) return;
  const kind = KINDS.find(([is]) => is(status))?.[1] ?? "something else";
  throw new Error(`it is ${kind}, not a file`);
}

/** What grows while it is read, or says that it is empty and is not, has a bound too. */
function readText(file: number): string {
  const parts: Buffer[] = [];
  for (let size = 0; ; ) {
    const part = Buffer.alloc(Math.min(SIZE_MAX, 65_536));
    const length = readSync(file, part);
    if (length === 0) return Buffer.concat(parts).toString("utf8");
    size += length;
    if (size > SIZE_MAX)
      throw new Error(`it is larger than ${SIZE_MAX / 1_048_576} MiB; put profiles into several files`);
    parts.push(part.subarray(0, length));
  }
}
