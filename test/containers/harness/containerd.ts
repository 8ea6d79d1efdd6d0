/** A containerd of the test's own, with runc: its configuration, images and containers are in the fixture's folder. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { patiently } from "../../e2e/harness/patience.ts";
import { RunningProcess } from "../../e2e/harness/processes.ts";

const NAMESPACE = "portcullis-test";
const START_TIMEOUT_MS = patiently(15_000);
const POLL_MS = 50;
/** Of `ctr`: a container that is asked to end and does not is an error, not a reason to wait on. */
const COMMAND_TIMEOUT_MS = patiently(20_000);
const CGROUPS = "/sys/fs/cgroup";

/** What is missing for tests with containers; empty where all is there. */
export function missingForContainers(): string[] {
  const commands = ["containerd", "ctr", "runc"].filter((name) => spawnSync("which", [name]).status !== 0);
  return existsSync(CNI_PLUGINS) ? commands : [...commands, CNI_PLUGINS];
}

/** Where Debian's containernetworking-plugins are. */
export const CNI_PLUGINS = "/usr/lib/cni";

export interface ContainerOptions {
  id: string;
  image: string;
  /** Absolute, in every hierarchy. */
  cgroup: string;
  /** Path of the network namespace that it joins. */
  netns: string;
  command: readonly string[];
  /** Host path -> path inside. */
  mounts?: Readonly<Record<string, string>>;
  /** What its root is made by; an overlay unless given. `native` copies the image's files. */
  snapshotter?: "native";
}

export class Containerd {
  readonly #socket: string;
  readonly #daemon: RunningProcess;

  private constructor(socket: string, daemon: RunningProcess) {
    this.#socket = socket;
    this.#daemon = daemon;
  }

  /** Starts it in a network namespace, so that whoever cleans that up ends it, and its shims, as well. */
  static async start(folder: string, netns: string): Promise<Containerd> {
    mkdirSync(folder, { recursive: true });
    const socket = join(folder, "containerd.sock");
    const config = join(folder, "config.toml");
    writeFileSync(config, configuration(folder, socket));
    const daemon = RunningProcess.in(netns, "containerd", ["--config", config, "--log-level", "warn"]);
    const containerd = new Containerd(socket, daemon);
    await containerd.#ready();
    return containerd;
  }

  importImage(file: string): void {
    this.#ctr("image", "import", file);
  }

  /** Starts a container, and returns when its process has been started. */
  run({ id, image, cgroup, netns, command, mounts = {}, snapshotter }: ContainerOptions): void {
    const bound = Object.entries(mounts).flatMap(([source, target]) => [
      "--mount",
      `type=bind,src=${source},dst=${target},options=rbind:rw`,
    ]);
    const place = ["--cgroup", cgroup, "--with-ns", `network:${netns}`];
    const made = snapshotter === undefined ? [] : ["--snapshotter", snapshotter];
    this.#ctr("run", "--detach", ...made, ...place, ...bound, image, id, ...command);
  }

  /** Runs a command in a container, as `kubectl exec` does. */
  exec(id: string, ...command: string[]): RunningProcess {
    const exec = `exec-${++this.#execs}`;
    return new RunningProcess("ctr", [...this.#place, "task", "exec", "--exec-id", exec, id, ...command]);
  }

  /** Ends a container and forgets it. */
  remove(id: string): void {
    this.#ctr("task", "rm", "--force", id);
    this.#ctr("container", "rm", id);
  }

  /** Ends all containers, and itself. */
  async stop(): Promise<void> {
    for (const id of this.#ctr("container", "ls", "-q").split("\n")) {
      if (id !== "") {
        spawnSync("ctr", [...this.#place, "task", "rm", "--force", id], { timeout: COMMAND_TIMEOUT_MS });
        spawnSync("ctr", [...this.#place, "container", "rm", id], { timeout: COMMAND_TIMEOUT_MS });
      }
    }
    await this.#daemon.kill("SIGTERM");
  }

  #execs = 0;

  get #place(): string[] {
    return ["--address", this.#socket, "--namespace", NAMESPACE];
  }

  #ctr(...args: string[]): string {
    return execFileSync("ctr", [...this.#place, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      timeout: COMMAND_TIMEOUT_MS,
    });
  }

  async #ready(): Promise<void> {
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (spawnSync("ctr", [...this.#place, "version"], { timeout: patiently(2000) }).status !== 0) {
      if (performance.now() > deadline) throw new Error(`containerd does not get ready: ${this.#daemon.stderr}`);
      await new Promise((settle) => setTimeout(settle, POLL_MS));
    }
  }
}

function configuration(folder: string, socket: string): string {
  return `version = 2
root = "${join(folder, "root")}"
state = "${join(folder, "state")}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "${socket}"
`;
}

/** Removes cgroups of this name, and what is below them, from every hierarchy. Processes in there must have ended. */
export function removeCgroups(name: string): void {
  const hierarchies = [CGROUPS, ...readdirSync(CGROUPS).map((entry) => join(CGROUPS, entry))];
  for (const hierarchy of hierarchies) removeCgroup(join(hierarchy, name));
}

function removeCgroup(folder: string): void {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(folder, entry.name));
  }
  rmdirSync(folder);
}
