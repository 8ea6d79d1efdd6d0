/** The programs that tests run in workloads: C, without libraries, so that they run in any root. */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const BUILD = join(ROOT, "build/test");
const FLAGS = ["-static", "-O1", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter"];

/** Each has a folder here, by its name. */
export const TEST_TOOLS = ["client", "spinner"] as const;

/**
 * Builds a test program, unless it is newer than its sources. Several test files may do so at once.
 * @returns its path
 */
export function buildTool(name: (typeof TEST_TOOLS)[number]): string {
  const built = join(BUILD, name);
  const sources = globSync(join(import.meta.dirname, name, "*.[ch]"));
  if (sources.every((source) => modificationTime(source) < modificationTime(built))) return built;
  mkdirSync(BUILD, { recursive: true });
  const temporary = `${built}.${process.pid}`;
  execFileSync("gcc", [...FLAGS, "-o", temporary, ...sources.filter((source) => source.endsWith(".c"))]);
  renameSync(temporary, built);
  return built;
}

function modificationTime(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
