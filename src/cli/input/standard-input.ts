/** Standard input, for commands that read it where other tools take a file. */
import { readSync } from "node:fs";

const STANDARD_INPUT = 0;
const CHUNK = 65_536;
/** How long to wait before asking again, ms. */
const PAUSE_MS = 10;

/**
 * Standard input as it comes, to its end. Waits for whoever writes it: a library that imports `node:process` has Node put a pipe into
 * the mode in which a read fails (EAGAIN) where it would wait.
 * @throws Error of the system, where it cannot be read
 */
export function* standardInput(): Generator<Buffer> {
  for (;;) {
    const chunk = Buffer.alloc(CHUNK);
    const length = readOrWait(chunk);
    if (length === 0) return;
    yield chunk.subarray(0, length);
  }
}

function readOrWait(chunk: Buffer): number {
  for (;;) {
    try {
      return readSync(STANDARD_INPUT, chunk);
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "EAGAIN") throw cause;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
