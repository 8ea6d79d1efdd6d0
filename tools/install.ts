/**
 * `make install PREFIX=/usr/local DESTDIR=`: the commands with all that they need, completions and manual pages, under a prefix.
 *
 *     node tools/install.ts PREFIX [DESTDIR]
 */
import { chmodSync, copyFileSync, cpSync, mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { completionScript } from "../src/cli/completion/completion.ts";
import { packageVersion } from "../src/cli/package-version.ts";
import { wholeProgram } from "../src/cli/program.ts";
import { manPages } from "./package/man-page.ts";
import { copyProject, PROJECT } from "./package/project.ts";

const COMMANDS = ["portcullis", "kubectl-portcullis", "kubectl_complete-portcullis"];

const COMPLETIONS = {
  bash: "share/bash-completion/completions/portcullis",
  zsh: "share/zsh/site-functions/_portcullis",
  fish: "share/fish/vendor_completions.d/portcullis.fish",
} as const;

/** Installs under a folder, in the place of what is there. @returns the files and folders that were made, in the folder */
export async function install(root: string): Promise<string[]> {
  const home = join(root, "lib/portcullis");
  rmSync(home, { recursive: true, force: true });
  copyProject(home);
  cpSync(join(PROJECT, "bin"), join(home, "bin"), { recursive: true });
  const node = join(home, "node_modules/.bin/node");
  mkdirSync(dirname(node), { recursive: true });
  copyFileSync(realpathSync(join(PROJECT, "node_modules/.bin/node")), node);
  chmodSync(node, 0o755);
  const links = COMMANDS.map((name) => link(join(root, "bin", name), join(home, "bin", name)));
  const completions = Object.entries(COMPLETIONS).map(([shell, path]) =>
    write(join(root, path), completionScript(shell as keyof typeof COMPLETIONS)),
  );
  const pages = [...manPages(await wholeProgram(), packageVersion())].map(([name, text]) =>
    write(join(root, "share/man/man1", name), text),
  );
  return [home, ...links, ...completions, ...pages].map((path) => relative(root, path));
}

/** A relative link: what is installed below DESTDIR is moved to its place later. */
function link(path: string, target: string): string {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(path, { force: true });
  symlinkSync(relative(dirname(path), target), path);
  return path;
}

function write(path: string, text: string): string {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

if (import.meta.main) {
  const [, , prefix = "/usr/local", destination = ""] = process.argv;
  const root = `${destination}${prefix}`;
  const made = await install(root);
  console.log(
    `installed in ${root}: ${COMMANDS.join(", ")}, completions, manual pages (${made.length} files and folders)`,
  );
}
