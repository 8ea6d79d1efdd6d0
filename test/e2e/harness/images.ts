/** Root file systems as containers have them: an overlay of an image and what was written after the start. */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A folder that looks like an image's root. */
export function makeImage(
  folder: string,
  files: Readonly<Record<string, { copyOf: string } | { text: string }>>,
): void {
  for (const [path, content] of Object.entries(files)) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    if ("copyOf" in content) copyFileSync(content.copyOf, target);
    else writeFileSync(target, content.text);
    chmodSync(target, 0o755);
  }
}

/**
 * Mounts an overlay over the image, and returns the root that a container would see.
 * @param options further ones of overlayfs, e.g. `redirect_dir=on`
 */
export function mountOverlay(folder: string, image: string, ...options: string[]): string {
  const [upper, work, root] = ["upper", "work", "root"].map((name) => join(folder, name)) as [string, string, string];
  for (const path of [upper, work, root]) mkdirSync(path, { recursive: true });
  execFileSync("mount", [
    "-t",
    "overlay",
    "overlay",
    "-o",
    [`lowerdir=${image}`, `upperdir=${upper}`, `workdir=${work}`, ...options].join(","),
    root,
  ]);
  return root;
}

/** Mounts the machine's own programs and libraries below a root, so that what is installed runs there. */
export function bindSystem(root: string): void {
  for (const folder of ["bin", "etc", "lib", "lib64", "usr"]) {
    mkdirSync(join(root, folder), { recursive: true });
    bindMount(`/${folder}`, join(root, folder));
  }
}

export function bindMount(source: string, target: string): void {
  execFileSync("mount", ["--bind", source, target]);
}
