/** What commands that work on the kernel need from where they run. */
import { UsageError } from "../api/errors.ts";

/** @throws UsageError */
export function requireRoot(command: string): void {
  if (process.getuid?.() === 0) return;
  throw new UsageError(`portcullis ${command} works on the kernel's BPF programs and has to run as root; try sudo`);
}
