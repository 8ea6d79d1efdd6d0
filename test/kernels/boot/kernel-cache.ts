/** Kernels: fetched from Debian once, unpacked and kept. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../commands.ts";
import { MatrixError } from "../errors.ts";
import { unpackKernel } from "./compression.ts";
import { DebianSuite } from "./debian-suite.ts";
import type { KernelLine } from "./kernel-lines.ts";

/** A kernel on disk. */
export interface Kernel extends KernelLine {
  /** As `uname -r` says it. */
  release: string;
  /** The ELF file to boot. */
  image: string;
  /** Folder with the modules, somewhere below. */
  modules: string;
}

const METAPACKAGE = "linux-image-cloud-amd64";
/** From 7.x on the image package is empty and depends on these. */
const PARTS = /^linux-(?:binary|modules|base)-\d/;

/**
 * The kernel of a line, fetched if the cache has none. A kernel that is there is kept: remove the folder for a newer one.
 * @param cache folder
 */
export function provideKernel(line: KernelLine, cache: string): Kernel {
  const folder = join(cache, line.line);
  const stamp = join(folder, "release");
  if (!existsSync(stamp)) fetchKernel(line, folder, join(cache, "apt", line.suite));
  const release = readFileSync(stamp, "utf8").trim();
  return { ...line, release, image: join(folder, "vmlinux"), modules: join(folder, "tree") };
}

function fetchKernel(line: KernelLine, folder: string, aptFolder: string): void {
  const suite = new DebianSuite(line.suite, aptFolder);
  suite.update();
  const image = suite.dependencies(METAPACKAGE).find((name) => /^linux-image-\d/.test(name));
  if (image === undefined) throw new MatrixError(`${METAPACKAGE} of ${line.suite} depends on no kernel`);
  const parts = suite.dependencies(image).filter((name) => PARTS.test(name));
  const temporary = `${folder}.new`;
  rmSync(temporary, { recursive: true, force: true });
  suite.download(join(temporary, "packages"), [image, ...parts]);
  unpackPackages(join(temporary, "packages"), join(temporary, "tree"));
  const release = image.replace("linux-image-", "").replace(/-unsigned$/, "");
  const packed = findKernel(join(temporary, "tree"), release);
  writeFileSync(join(temporary, "vmlinux"), unpackKernel(readFileSync(packed), packed));
  writeFileSync(join(temporary, "release"), `${release}\n`);
  rmSync(join(temporary, "packages"), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  renameSync(temporary, folder);
}

function unpackPackages(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) run("dpkg-deb", ["--extract", join(from, name), to]);
}

/** Where the packages of the different suites put the kernel. */
function findKernel(tree: string, release: string): string {
  const places = [`boot/vmlinuz-${release}`, `usr/lib/modules/${release}/vmlinuz`, `lib/modules/${release}/vmlinuz`];
  const found = places.map((place) => join(tree, place)).find((path) => existsSync(path));
  if (found === undefined) throw new MatrixError(`the packages of ${release} hold no kernel (${places.join(", ")})`);
  return found;
}
