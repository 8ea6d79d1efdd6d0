/**
 * The root file system of the container image, put together from this checkout and this machine: Node, the project with
 * its production dependencies, the BPF objects, and the shared libraries that they need. No shell, no package manager.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { copyProject } from "../package/project.ts";

const PROJECT = join(import.meta.dirname, "../..");
/** Where the project is in the image. */
const HOME = "/opt/portcullis";
const NODE = "/usr/local/bin/node";
const LIBBPF = "libbpf.so.1";
/** glibc loads these by name, when somebody looks up a host. */
const NAME_SERVICE = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

/** What runs when a container is started from the image; arguments are the command's. */
export const ENTRYPOINT = [
  NODE,
  "--disable-warning=ExperimentalWarning",
  "--max-semi-space-size=4",
  "--optimize-for-size",
  `${HOME}/src/cli/main.ts`,
];

/** glibc gives memory back when it is freed, instead of keeping it for each thread and size. */
export const ENVIRONMENT = [
  "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
  "MALLOC_ARENA_MAX=1",
  "MALLOC_TRIM_THRESHOLD_=131072",
  "MALLOC_MMAP_THRESHOLD_=65536",
];

/** Fills an empty folder. @throws Error where something has not been built, or is not installed */
export function makeRoot(root: string): void {
  rmSync(root, { recursive: true, force: true });
  for (const folder of ["tmp", "run", "etc", "proc", "sys", "dev", "var/lib/portcullis"]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  chmodSync(join(root, "tmp"), 0o1777);
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/none\nportcullis:x:65532:65532:portcullis:/:/none\n");
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  const home = join(root, HOME);
  copyProject(home);
  const node = realpathSync(join(PROJECT, "node_modules/.bin/node"));
  install(node, join(root, NODE));
  copyLibraries(root, [node, libraryPath(LIBBPF), ...NAME_SERVICE.map(libraryPath), ...nativeModules(home)]);
}

function nativeModules(home: string): string[] {
  const files = readdirSync(join(home, "node_modules"), { recursive: true, encoding: "utf8" });
  return files.filter((file) => file.endsWith(".node")).map((file) => join(home, "node_modules", file));
}

/** Where the dynamic linker finds a library. @throws Error where it is not installed */
function libraryPath(name: string): string {
  const line = execFileSync("ldconfig", ["-p"], { encoding: "utf8" })
    .split("\n")
    .find((text) => text.trim().startsWith(`${name} `));
  const path = line?.split("=> ")[1];
  if (path === undefined) throw new Error(`${name} is not installed; run: make setup`);
  return path;
}

/** The libraries that these files need, and what those need, at the same paths as here. */
export function copyLibraries(root: string, files: readonly string[]): void {
  const needed = new Set(files.filter((file) => /\.so(\.|$)/.test(file)));
  for (const file of files) {
    const listed = execFileSync("ldd", [file], { encoding: "utf8" }).matchAll(/(?:=> )?(\/\S+) \(0x/g);
    for (const [, path] of listed) if (path !== undefined) needed.add(path);
  }
  for (const path of needed) install(realpathSync(path), join(root, path));
}

function install(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
  chmodSync(target, 0o755);
}
