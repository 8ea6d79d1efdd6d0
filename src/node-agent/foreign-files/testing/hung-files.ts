/**
 * A file system that does not answer, as an intruder makes one: FUSE, whose server takes each question and keeps it. Whoever asks
 * waits for good, and cannot be killed. It is mounted in namespaces of its own, and goes with its server.
 */
import { closeSync, openSync } from "node:fs";

/** Whether this kernel has FUSE. */
export const HAS_FUSE = canOpen("/dev/fuse");

/** A device without its driver is there, and cannot be opened. */
function canOpen(path: string): boolean {
  try {
    closeSync(openSync(path, "r+"));
    return true;
  } catch {
    return false;
  }
}

/** Answers FUSE_INIT (<linux/fuse.h>) on descriptor 3, and nothing that comes after it. */
const SERVER = `
import os, struct
_, _, unique = struct.unpack_from('<IIQ', os.read(3, 1 << 20))
answer = struct.pack('<IIIIHHII', 7, 31, 4096, 0, 12, 9, 4096, 1).ljust(64, b'\\0')
os.write(3, struct.pack('<IiQ', 16 + len(answer), 0, unique) + answer)
print('hung', flush=True)
while True: os.read(3, 1 << 20)
`;

/** Shell: mounts it at the path, and serves it; says `hung` once whoever looks there waits. */
export function hangAt(path: string): string {
  return `exec 3<>/dev/fuse
mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other hung ${path} &&
exec /usr/bin/python3 -c "${SERVER}"`;
}

/** For unshare(1): what is mounted is nobody else's, and all of it ends with the first process. */
export const OWN_FILES = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"];
