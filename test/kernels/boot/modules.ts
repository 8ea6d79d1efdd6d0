/** Kernel modules: which there are, and what each needs to be loaded first. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { unpackElf } from "./compression.ts";

/** A module, unpacked. */
export interface KernelModule {
  name: string;
  data: Buffer;
}

/** `nf_tables` for `kernel/net/netfilter/nf-tables.ko.xz`. */
function moduleName(path: string): string {
  return basename(path)
    .replace(/\.ko(?:\.\w+)?$/, "")
    .replaceAll("-", "_");
}

function listModules(folder: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (/\.ko(?:\.\w+)?$/.test(entry.name)) paths.set(moduleName(entry.name), join(entry.parentPath, entry.name));
  }
  return paths;
}

/** What `.modinfo` says a module needs: `depends=a,b` (symbols) and `softdep=pre: c` (services). */
function needsOf(data: Buffer): string[] {
  const text = data.toString("latin1");
  const depends = /\0depends=([\w,-]*)\0/.exec(text)?.[1]?.split(",") ?? [];
  const before = [...text.matchAll(/\0softdep=pre: ([\w -]*)\0/g)].flatMap((match) => match[1]?.split(" ") ?? []);
  return [...depends, ...before].filter((name) => name !== "").map((name) => name.replaceAll("-", "_"));
}

/**
 * Modules in the order to load them, each after what it needs. What is not there is built in, or is not for this kernel.
 * @param folder searched with all folders below it
 */
export function collectModules(folder: string, wanted: readonly string[]): KernelModule[] {
  const paths = listModules(folder);
  const collected = new Map<string, KernelModule>();
  const visited = new Set<string>();
  const add = (name: string): void => {
    const path = paths.get(name);
    if (path === undefined || visited.has(name)) return;
    visited.add(name);
    const data = unpackElf(readFileSync(path), path);
    needsOf(data).forEach(add);
    collected.set(name, { name, data });
  };
  wanted.forEach(add);
  return [...collected.values()];
}
