/**
 * The archive of the kubectl plugin that .krew.yaml names: the plugin's own sources and the packages that they use, for any machine
 * with Node. The same sources give the same bytes.
 */
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const PROJECT = join(import.meta.dirname, "../..");
/** Files and folders of the project that the plugin is made of. */
const SOURCES = [
  "bin/kubectl-portcullis",
  "src/api",
  "src/cli",
  "src/kube/errors.ts",
  "src/kube/leader.ts",
  "src/kube/resources.ts",
  "src/kube/sleep.ts",
  "src/policy",
  "src/protocol/observe.ts",
  "src/node-agent/events/schema.ts",
  "src/node-agent/events/text.ts",
  "src/node-agent/profiles/manifest-file.ts",
  "package.json",
  "LICENSE",
];
/** What these import. */
const PACKAGES = ["ajv", "commander", "ipaddr.js", "yaml"];
const DETERMINISTIC = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

interface Lock {
  packages: Record<string, { dependencies?: Record<string, string> }>;
}

/** Writes the archive. @throws Error where tar fails, or a package is not installed */
export function writePluginArchive(file: string): void {
  const folder = mkdtempSync(join(tmpdir(), "pc-plugin-"));
  try {
    for (const name of SOURCES) cpSync(join(PROJECT, name), join(folder, name), { recursive: true, filter: isShipped });
    for (const name of withDependencies()) {
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

function isShipped(path: string): boolean {
  return !/\.test\.ts$/.test(path) && !["testdata", "testing"].includes(basename(path));
}

/** Declarations and source maps are for developers; licences stay. */
function isNeeded(path: string): boolean {
  return !/(\.d\.[cm]?ts|\.map)$/.test(path);
}

/** The packages, and what they need themselves. */
function withDependencies(): Set<string> {
  const { packages } = JSON.parse(readFileSync(join(PROJECT, "package-lock.json"), "utf8")) as Lock;
  const found = new Set<string>();
  const waiting = [...PACKAGES];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (found.has(name)) continue;
    found.add(name);
    waiting.push(...Object.keys(packages[`node_modules/${name}`]?.dependencies ?? {}));
  }
  return found;
}
