/** The rights that a command needs which works on the kernel. */
import { UsageError } from "../api/errors.ts";

/** @throws UsageError */
export function requireRoot(command: string): void {
  if (process.getuid?.() === 0) return;
  throw new UsageError(`portcullis ${command} works on the kernel's BPF programs and has to run as root; try sudo`);
}
