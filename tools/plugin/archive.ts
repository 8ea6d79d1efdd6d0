/**
 * The archive of the kubectl plugin that .krew.yaml names: the plugin's own sources and the packages that they use, for any machine
 * with Node. The same sources give the same bytes.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const PROJECT = join(import.meta.dirname, "../..");
/** What stands beside the plugin's modules. */
const FILES = ["bin/kubectl-portcullis", "bin/kubectl_complete-portcullis", "package.json", "LICENSE"];
const ENTRY = "src/cli/kubectl/main.ts";
const DETERMINISTIC = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

interface Lock {
  packages: Record<string, { dependencies?: Record<string, string> }>;
}

/** Writes the archive. @throws Error where tar fails, or a package is not installed */
export function writePluginArchive(file: string): void {
  const folder = mkdtempSync(join(tmpdir(), "pc-plugin-"));
  try {
    const { modules, packages } = importedBy(ENTRY);
    for (const name of [...FILES, ...modules]) cpSync(join(PROJECT, name), join(folder, name));
    for (const name of withDependencies(packages)) {
      const path = join("node_modules", name);
      cpSync(join(PROJECT, path), join(folder, path), { recursive: true, filter: isNeeded });
    }
    mkdirSync(dirname(file), { recursive: true });
    const tar = execFileSync("tar", [...DETERMINISTIC, "--mode=u=rwX,go=rX", "-C", folder, "-cf", "-", "."], {
      maxBuffer: 256 * 1024 * 1024,
    });
    execFileSync("sh", ["-c", 'gzip -9n > "$1"', "sh", file], { input: tar });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The modules that one imports, and those that they import, itself included; and packages. Types are gone when it runs. */
function importedBy(entry: string): { modules: Set<string>; packages: Set<string> } {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const waiting = [entry];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (modules.has(path)) continue;
    modules.add(path);
    const text = readFileSync(join(PROJECT, path), "utf8").replaceAll(/^(import|export) type [^;]*;/gm, "");
    for (const [, name = ""] of text.matchAll(/(?:^import |from |import\()"([^"]+)"/gm)) {
      if (name.startsWith(".")) waiting.push(join(dirname(path), name));
      else if (!name.startsWith("node:")) packages.add(packageName(name));
    }
  }
  return { modules, packages };
}

/** Of `ajv/dist/2020.js`, or `@scope/name/file.js`. */
function packageName(path: string): string {
  return path
    .split("/")
    .slice(0, path.startsWith("@") ? 2 : 1)
    .join("/");
}

/** Declarations and source maps are for developers; licences stay. */
function isNeeded(path: string): boolean {
  return !/(\.d\.[cm]?ts|\.map)$/.test(path);
}

/** The packages, and what they need themselves. */
function withDependencies(names: Iterable<string>): Set<string> {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, "package-lock.json"), "utf8")) as Lock;
  const found = new Set<string>();
  const waiting = [...names];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...Object.keys(packages[`node_modules/${name}`]?.dependencies ?? {}));
  }
  return found;
}
