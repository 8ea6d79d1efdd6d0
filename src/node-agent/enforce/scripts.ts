/**
 * Scripts. At an exec through a shebang the kernel side knows the interpreter's file, and the script by the path that
 * was typed. Whether that path is the image's own file is looked up here: it is a regular file that begins with a shebang, no part of
 * the path is a symbolic link, and no layer above the image's has changed it (overlay.ts). Until then, and for every
 * other case, the process is its interpreter.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { causeCode } from "../../api/errors.ts";
import type { Logger } from "../../telemetry/logger.ts";
import { type Process, ProcessFlag } from "../kernel/abi.gen.ts";
import { isPlainFile } from "./files.ts";
import { imageState, parseMountInfo } from "./overlay.ts";

/** What a look at the file gives. */
export type ScriptFinding = "verified" | "not the file itself" | "changed" | "not a script" | "gone";

export interface ScriptVerifierParts {
  /** The path behind a number. */
  path(id: number): string | null;
  process(tgid: number): Process | undefined;
  processes(): Iterable<[number, Process]>;
  /** Sets the flag, if it is still that process with that script, whose flows are judged again; see bpf/scripts.bpf.c. */
  setVerified(tgid: number, process: Process): boolean;
  log: Logger;
  /** `/proc`, or another one in tests. */
  procRoot?: string;
}

export class ScriptVerifier {
  readonly #parts: ScriptVerifierParts;

  constructor(parts: ScriptVerifierParts) {
    this.#parts = parts;
  }

  /** Looks at the script of a process that has just been executed. */
  verify(tgid: number): void {
    const process = this.#parts.process(tgid);
    if (process !== undefined) this.#verifyProcess(tgid, process);
  }

  /** Looks at all scripts that are running unverified: at the start, and where events were lost. */
  verifyAll(): void {
    for (const [tgid, process] of this.#parts.processes()) this.#verifyProcess(tgid, process);
  }

  #verifyProcess(tgid: number, process: Process): void {
    const { SCRIPT, SCRIPT_VERIFIED } = ProcessFlag;
    if ((process.flags & (SCRIPT | SCRIPT_VERIFIED)) !== SCRIPT || process.scriptId === 0) return;
    const path = this.#parts.path(process.scriptId);
    if (path === null) return;
    try {
      const finding = inspectScript(join(this.#parts.procRoot ?? "/proc", String(tgid)), path);
      if (finding === "verified") this.#parts.setVerified(tgid, process);
      else if (finding !== "gone")
        this.#parts.log.debug({ pid: tgid, path, finding }, "a script goes by its interpreter");
    } catch (cause) {
      this.#parts.log.warn({ pid: tgid, path, err: cause }, "cannot verify a script; it goes by its interpreter");
    }
  }
}

/** @param directory /proc/PID of the process */
export function inspectScript(directory: string, path: string): ScriptFinding {
  const root = join(directory, "root");
  try {
    if (!isPlainFile(root, path)) return "not the file itself";
    if (!beginsWithShebang(join(root, path))) return "not a script";
    const mounts = parseMountInfo(readFileSync(join(directory, "mountinfo"), "utf8"));
    return imageState(mounts, path) === "unchanged" ? "verified" : "changed";
  } catch (cause) {
    if (["ENOENT", "ESRCH", "EACCES", "ENOTDIR", "ELOOP"].includes(causeCode(cause) ?? "")) return "gone";
    throw cause;
  }
}

function beginsWithShebang(path: string): boolean {
  // What was a regular file a moment ago may be a FIFO now, whose opening would wait for its other end.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW | constants.O_NOCTTY);
  try {
    const head = Buffer.alloc(2);
    return fstatSync(file).isFile() && readSync(file, head) === 2 && head.toString("latin1") === "#!";
  } finally {
    closeSync(file);
  }
}
