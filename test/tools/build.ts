/** What tests run in workloads: programs in C without libraries, so that they run in any root, and a library. */
import { execFileSync } from "node:child_process";
import { globSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const BUILD = join(ROOT, "build/test");
const FLAGS = ["-O1", "-g", "-Wall", "-Wextra", "-Wno-unused-parameter"];

/** How each is linked. Each has a folder here, by its name. */
const LINKING = { client: ["-static"], spinner: ["-static"], preload: ["-shared", "-fPIC"] } as const;
type TestTool = keyof typeof LINKING;
export const TEST_TOOLS = Object.keys(LINKING) as TestTool[];

/**
 * Builds one, unless it is newer than its sources. Several test files may do so at once.
 * @returns its path
 */
export function buildTool(name: TestTool): string {
  const built = join(BUILD, name);
  const sources = globSync(join(import.meta.dirname, name, "*.[ch]"));
  if (sources.every((source) => modificationTime(source) < modificationTime(built))) return built;
  mkdirSync(BUILD, { recursive: true });
  const temporary = `${built}.${process.pid}`;
  execFileSync("gcc", [
    ...FLAGS,
    ...LINKING[name],
    "-o",
    temporary,
    ...sources.filter((source) => source.endsWith(".c")),
  ]);
  renameSync(temporary, built);
  return built;
}

function modificationTime(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
