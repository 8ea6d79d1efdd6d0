/**
 * The disk of the guests: this machine's own programs and libraries at their own paths, and the project as it is
 * built. One image serves all kernels.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { run } from "../commands.ts";
import { MatrixError } from "../errors.ts";
import type { PlannedFile, SuitePlan } from "../plan.ts";

const ROOT = join(import.meta.dirname, "../../..");
/** Where the project is in a guest. */
const PROJECT = "/portcullis";

/** Commands that the project and its tests run; busybox stands in for all others that it has. */
const COMMANDS = [
  ...["bash", "dash", "make", "env", "ip", "tc", "ss", "bridge", "nft", "bpftool", "ethtool", "ping"],
  ...["curl", "dig", "nc", "dnsmasq", "nsenter", "unshare", "setpriv", "mount", "umount", "stdbuf", "timeout"],
  ...["cp", "cat", "stat", "head", "tail", "true", "sleep", "readlink", "mknod", "openssl", "ldd"],
];
/** What test/field sets against the product. Compilers are left out: tests of what they make say so, and are skipped. */
const FIELD_COMMANDS = ["named", "nsupdate", "unbound", "nginx", "keepalived"];
/** What test/containers needs: it makes its image on the spot. */
const CONTAINER_COMMANDS = ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "tar"];
const CNI_PLUGINS = ["/usr/lib/cni/bridge", "/usr/lib/cni/host-local"];
/** What is opened by name while a program runs, so that `ldd` does not show it. */
const LIBRARIES = ["libbpf.so.1", "libnss_files.so.2", "libnss_dns.so.2"];
const PYTHON = "/usr/bin/python3";
const OPENSSL_SETTINGS = "/usr/lib/ssl/openssl.cnf";

const FILES: Record<string, string> = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  "etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
  "etc/resolv.conf": "nameserver 127.0.0.1\n",
};

const BUILT = ["build/bpf", "build/test"];

/** Share of the files' size that the file system and the tests' own files may need on top. */
const HEADROOM = 1.25;

export interface RootImage {
  plan: readonly PlannedFile[];
  /** Scratch folder, emptied first. */
  stage: string;
  /** The ext4 image. */
  output: string;
}

/** Builds the image. The objects under build/bpf and the npm dependencies must be there. */
export function buildRootImage({ plan, stage, output }: RootImage): void {
  rmSync(stage, { recursive: true, force: true });
  rmSync(output, { force: true });
  makeFolders(stage);
  const copier = new Copier(stage);
  for (const name of [...COMMANDS, ...FIELD_COMMANDS, ...CONTAINER_COMMANDS]) copier.command(name);
  for (const path of CNI_PLUGINS) copier.program(path);
  for (const name of LIBRARIES) copier.library(name);
  copier.file(OPENSSL_SETTINGS);
  copyPython(copier);
  copyProject(copier);
  addBusybox(stage);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(stage, name), text);
  addGuestFiles(stage, plan);
  const kilobytes = Math.ceil(Number(run("du", ["-sk", stage]).split("\t")[0]) * HEADROOM);
  run("mke2fs", ["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d", stage, output, `${kilobytes}k`]);
}

function makeFolders(stage: string): void {
  const names = ["dev", "proc", "sys", "run", "tmp", "etc", "root", "mnt", "var", "guest", "usr/bin", "usr/sbin"];
  for (const name of [...names, "usr/lib", "usr/lib64"]) mkdirSync(join(stage, name), { recursive: true });
  for (const name of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${name}`, join(stage, name));
}

/** Copies files of this machine to their own paths in the stage, with the libraries that they need. */
class Copier {
  readonly stage: string;

  constructor(stage: string) {
    this.stage = stage;
  }

  /** @throws MatrixError if this machine does not have the command */
  command(name: string): void {
    const places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    const path = places.map((place) => join(place, name)).find((candidate) => existsSync(candidate));
    if (path === undefined) throw new MatrixError(`${name} is missing on this machine: run tools/setup tests`);
    this.program(path);
  }

  library(name: string): void {
    const line = run("/sbin/ldconfig", ["-p"]).split("\n");
    const path = line.find((entry) => entry.includes(`${name} (libc6,x86-64`))?.split(" => ")[1];
    if (path === undefined) throw new MatrixError(`the library ${name} is missing on this machine: run make setup`);
    this.program(path.trim());
  }

  /** A file, following links, and all shared libraries that it names. */
  program(path: string): void {
    this.file(path);
    const needed = run("ldd", [path], { accept: [0, 1] }).matchAll(/(\/\S+) \(0x/g);
    for (const [, library = ""] of needed) this.file(library);
  }

  file(path: string, to = path): void {
    const target = join(this.stage, to);
    if (existsSync(target)) return;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(path, target);
    const { mtime, mode } = lstatSync(target, { throwIfNoEntry: true });
    chmodSync(target, mode);
    utimesSync(target, mtime, mtime);
  }
}

function copyPython(copier: Copier): void {
  if (!existsSync(PYTHON)) return;
  copier.program(PYTHON);
  const library = run(PYTHON, ["-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"]).trim();
  const skipped = /\/(?:test|idlelib|tkinter|lib2to3|ensurepip|__pycache__|config-[^/]*)$/;
  cpSync(library, join(copier.stage, library), { recursive: true, filter: (path) => !skipped.test(path) });
}

/** Files that make compares must keep their times, or it would build in the guest, where no compiler is. */
function copyInto(stage: string, name: string): void {
  const options = { recursive: true, preserveTimestamps: true, verbatimSymlinks: true };
  cpSync(join(ROOT, name), join(stage, PROJECT, name), options);
}

function copyProject(copier: Copier): void {
  const listed = run("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: ROOT }).split("\n");
  for (const name of listed) if (name !== "" && existsSync(join(ROOT, name))) copyInto(copier.stage, name);
  for (const name of BUILT) copyInto(copier.stage, name);
  for (const name of runtimePackages()) copyInto(copier.stage, name);
  const node = join(ROOT, "node_modules/.bin/node");
  copier.program(run("readlink", ["-f", node]).trim());
  copier.file(node, join(PROJECT, "node_modules/.bin/node"));
}

/** Folders of the npm packages that are there and are not for development only; Node itself comes as one file. */
function runtimePackages(): string[] {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return Object.entries(lock.packages)
    .filter(([name, { dev }]) => name !== "" && dev !== true && !name.includes("node-linux-"))
    .map(([name]) => name)
    .filter((name) => existsSync(join(ROOT, name)));
}

function addBusybox(stage: string): void {
  copyFileSync("/bin/busybox", join(stage, "usr/bin/busybox"));
  // Not busybox: its shell prefers its own applets to what PATH finds.
  symlinkSync("dash", join(stage, "usr/bin/sh"));
  for (const applet of run("/bin/busybox", ["--list"]).split("\n")) {
    const taken = ["bin", "sbin"].some((folder) => existsSync(join(stage, "usr", folder, applet)));
    if (applet !== "" && !taken) symlinkSync("busybox", join(stage, "usr/bin", applet));
  }
}

function addGuestFiles(stage: string, plan: readonly PlannedFile[]): void {
  for (const name of ["start", "hybrid-cgroups"]) {
    copyFileSync(join(import.meta.dirname, "../guest", name), join(stage, "guest", name));
    chmodSync(join(stage, "guest", name), 0o755);
  }
  writeFileSync(
    join(stage, "guest/plan.json"),
    JSON.stringify({ files: plan, repeatFailed: true } satisfies SuitePlan),
  );
}
