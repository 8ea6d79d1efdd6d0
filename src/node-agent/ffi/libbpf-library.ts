/** libbpf itself, and what it prints: its log is the only place where the verifier's words are to be had. */
import koffi from "koffi";
import { Library } from "./library.ts";
import type { Pointer } from "./memory.ts";
import { freeMemory, readText } from "./memory.ts";

/** Soname 1 covers libbpf 1.0 and later; 1.1 is the oldest that is tested. */
export const libbpf = new Library(
  "libbpf.so.1",
  "Install libbpf 1.1 or later (Debian: libbpf1), or use the container image",
);

const libc = new Library("libc.so.6", "Portcullis needs the GNU C library; use its container image");

const LEVEL_DEBUG = 2;
/** A verifier log may be megabytes; its end is what explains. */
const MAX_LOG_LENGTH = 1 << 20;

// va_list is an array of one struct on x86-64 and a struct of 32 bytes on arm64: both are passed by address.
koffi.proto("int LibbpfPrint(int level, const char *format, void *arguments)");

const native = {
  libbpf_set_print: libbpf.declare<(print: bigint) => Pointer | null>("void *libbpf_set_print(LibbpfPrint *print)"),
  libbpf_version_string: libbpf.declare<() => string>("const char *libbpf_version_string()"),
  vasprintf: libc.declare<(text: Array<Pointer | null>, format: unknown, args: Pointer) => number>(
    "int vasprintf(_Out_ void **text, const char *format, void *arguments)",
  ),
};

let installed = false;
let captured = "";

/** Called by libbpf, on this thread, while one of its functions runs. */
function print(level: number, format: unknown, args: Pointer): number {
  if (level >= LEVEL_DEBUG) return 0;
  const text: Array<Pointer | null> = [null];
  const length = native.vasprintf(text, format, args);
  const address = text[0];
  if (length < 0 || address === null || address === undefined) return 0;
  captured = (captured + readText(address)).slice(-MAX_LOG_LENGTH);
  freeMemory(address);
  return length;
}

function install(): void {
  if (installed) return;
  native.libbpf_set_print(koffi.register(print, "LibbpfPrint *"));
  installed = true;
}

/** Runs `action` and hands back what libbpf printed meanwhile (warnings and the verifier's log). */
export function captureLog<T>(action: () => T): { result: T; log: string } {
  install();
  captured = "";
  const result = action();
  const log = captured;
  captured = "";
  return { result, log: log.replaceAll(/^libbpf: /gm, "").trim() };
}

/** For example `v1.1`. */
export function libbpfVersion(): string {
  return native.libbpf_version_string();
}
