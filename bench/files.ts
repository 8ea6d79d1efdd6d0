/** Files of a run: profiles, configurations. All in one folder, which goes at the end of this run, or of the next. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";

const FOLDER = "/run/pc-bench-files";

/** Makes a folder. */
export function makeFolder(): string {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  return mkdtempSync(join(FOLDER, "run-"));
}

export function removeFolders(): void {
  rmSync(FOLDER, { recursive: true, force: true });
}
