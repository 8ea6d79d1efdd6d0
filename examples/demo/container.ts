/**
 * A pod's container: the pod's network namespace, and a mount namespace with a root of its own, which holds copies of
 * a few of this machine's programs. Commands are run in it as `kubectl exec` does.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { mkdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type CommandResult, collect, DemoSetupError, ended, must, run } from "./command.ts";
import { enter, netnsOf, type Pod, RESOLVER, spawnStage } from "./topology.ts";

/** What every image has: path inside -> program of this machine. */
const TOOLS: Record<string, string> = {
  "/bin/sh": "dash",
  "/bin/sleep": "sleep",
  "/usr/bin/curl": "curl",
  "/usr/bin/nc": "nc.openbsd",
  "/usr/bin/arping": "busybox",
};

/** The pods' own programs: my-app is a curl and pong is the httpd of busybox, under names and paths of their own. */
const PROGRAMS: Record<Pod, Record<string, string>> = {
  ping: { "/usr/local/bin/my-app": "curl" },
  pong: { "/usr/local/bin/pong": "busybox" },
  attacker: { "/usr/sbin/nft": "nft" },
};

/** httpd is a symbolic link to pong; the kernel, and so the profile, know the file that it leads to. */
const MAIN: Record<Pod, readonly string[]> = {
  ping: ["/bin/sleep", "600"],
  pong: ["/usr/sbin/httpd", "-f", "-p", "80", "-h", "/srv"],
  attacker: ["/bin/sleep", "600"],
};

const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/sbin:/usr/bin:/bin", HOME: "/", LANG: "C" };

const START_TIMEOUT_MS = 5_000;
const LOOK_AGAIN_MS = 20;

/**
 * Run by sh in a new mount namespace: fills a tmpfs with the image and makes it the root, as a container runtime does.
 * Arguments: an empty folder, pairs of a path inside and a program of this machine, `--`, what the container is for.
 */
const MAKE_ROOT = `
  mount -t tmpfs -o mode=755 image "$1"
  cd "$1"; shift
  mkdir -p bin dev etc usr/bin usr/sbin usr/local/bin srv old
  for folder in lib lib64; do
    mkdir -p usr/$folder
    if [ -d /usr/$folder ]; then mount --bind -o ro /usr/$folder usr/$folder; fi
    if [ -L /$folder ]; then cp -P /$folder $folder
    elif [ -d /$folder ]; then mkdir $folder; mount --bind -o ro /$folder $folder; fi
  done
  while [ "$1" != -- ]; do cp -L "$2" ".$1"; shift 2; done; shift
  if [ -e usr/local/bin/pong ]; then ln -s ../local/bin/pong usr/sbin/httpd; fi
  : > dev/null; mount --bind /dev/null dev/null
  printf 'nameserver ${RESOLVER}\\nsearch .\\noptions timeout:1 attempts:1\\n' > etc/resolv.conf
  printf 'hosts: files dns\\n' > etc/nsswitch.conf
  printf '127.0.0.1 localhost\\n' > etc/hosts
  printf 'root:x:0:0:root:/:/bin/sh\\n' > etc/passwd
  printf 'pong\\n' > srv/index.html
  pivot_root . old
  cd /
  exec /old/bin/sh -c 'umount -l /old; rmdir /old; exec "$@"' sh "$@"`;

export class Container {
  readonly pod: Pod;
  readonly #main: ChildProcess;
  readonly #enter: string[];

  private constructor(pod: Pod, main: ChildProcess) {
    this.pod = pod;
    this.#main = main;
    this.#enter = ["nsenter", `--target=${main.pid}`, "--mount", "--net"];
  }

  /**
   * Starts a pod's container and waits until its program runs.
   * @param folder for the mount point of its root
   * @throws DemoSetupError
   */
  static async start(pod: Pod, folder: string): Promise<Container> {
    const mountPoint = join(folder, `root-${pod}`);
    mkdirSync(mountPoint);
    const image = await programsOf(pod);
    const script = ["sh", "-euc", MAKE_ROOT, "sh", mountPoint, ...image, "--", ...MAIN[pod]];
    const main = spawnStage([...enter(netnsOf(pod)), "unshare", "--mount", ...script]);
    const stderr = main.stderr === null ? () => "" : collect(main.stderr);
    const container = new Container(pod, main);
    const [program = ""] = MAIN[pod];
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!container.#runs(program)) {
      if (main.exitCode !== null || Date.now() > deadline) {
        throw new DemoSetupError(`the container of ${pod} did not start: ${stderr().trim()}`);
      }
      await sleep(LOOK_AGAIN_MS);
    }
    return container;
  }

  /** Runs a program of the image, and nothing else: no shell. */
  run(command: readonly string[], timeout?: number): Promise<CommandResult> {
    return run([...this.#enter, ...command], { env: ENVIRONMENT, ...(timeout === undefined ? {} : { timeout }) });
  }

  /** Types a line into a shell of the container. */
  shell(line: string): Promise<CommandResult> {
    // The second command keeps the shell from turning into the first one.
    return this.run(["/bin/sh", "-c", `${line}\nexit $?`]);
  }

  /** A program of the image that goes on, and is fed by hand. */
  open(command: readonly string[]): ChildProcess {
    const [nsenter = "", ...args] = [...this.#enter, ...command];
    return spawn(nsenter, args, { env: ENVIRONMENT, stdio: ["pipe", "pipe", "ignore"], detached: true });
  }

  async stop(): Promise<void> {
    this.#main.kill("SIGKILL");
    await ended(this.#main);
  }

  /** Whether the container's root is complete: its first process has become the program that it is for. */
  #runs(program: string): boolean {
    try {
      const executable = readlinkSync(`/proc/${this.#main.pid}/exe`);
      return executable === program || (program === "/usr/sbin/httpd" && executable === "/usr/local/bin/pong");
    } catch (error) {
      // It is just being started, or gone already.
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ESRCH") return false;
      throw error;
    }
  }
}

/** Pairs of a path in the image and the program of this machine that goes there. */
async function programsOf(pod: Pod): Promise<string[]> {
  const entries = Object.entries({ ...TOOLS, ...PROGRAMS[pod] });
  const found = await Promise.all(entries.map(async ([path, program]) => [path, await programPath(program)]));
  return found.flat();
}

async function programPath(program: string): Promise<string> {
  return (await must(["sh", "-c", 'command -v "$1"', "sh", program])).trim();
}
