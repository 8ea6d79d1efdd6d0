/** What is shipped of this checkout: sources without tests, dependencies for production, the BPF objects. */
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

export const PROJECT = join(import.meta.dirname, "../..");
const SOURCES = ["src", "crds", "package.json", "LICENSE", "LICENSES"];

/** Copies it into a folder, where it runs. @throws Error where something has not been built */
export function copyProject(home: string): void {
  for (const name of SOURCES) cpSync(join(PROJECT, name), join(home, name), { recursive: true, filter: isShipped });
  copyDependencies(home);
  copyObjects(join(home, "build/bpf"));
}

function isShipped(path: string): boolean {
  return !/\.test\.ts$/.test(path) && !["testdata", "testing", "snapshots"].includes(basename(path));
}

/** What package-lock.json calls no development dependency; Node itself is installed apart. */
function copyDependencies(home: string): void {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  for (const [path, { dev }] of Object.entries(packages)) {
    const source = join(PROJECT, path);
    // Those for other platforms are not there.
    if (path === "" || dev === true || /node_modules\/node-linux-/.test(path) || !existsSync(source)) continue;
    cpSync(source, join(home, path), { recursive: true, filter: isNeeded });
  }
}

/** Type declarations, source maps and sources that were compiled are for developers. */
function isNeeded(path: string): boolean {
  return !/(\.d\.[cm]?ts|\.map|\.md|\.cc|\.hh?|\.cpp)$/.test(path) && basename(path) !== ".bin";
}

function copyObjects(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(join(PROJECT, "bpf")).filter((name) => name.endsWith(".bpf.c"))) {
    const name = file.replace(/c$/, "o");
    const source = join(PROJECT, "build/bpf", name);
    if (!existsSync(source)) throw new Error(`${source} has not been built; run: make build`);
    copyFileSync(source, join(folder, name));
  }
}
