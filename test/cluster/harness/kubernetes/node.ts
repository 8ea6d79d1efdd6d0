/**
 * One node: a network namespace, a mount namespace with file systems of its own where a machine would have them, containerd
 * and a kubelet.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, eventually, FOLDER, logEnd, makeCgroup, NAME, startDaemon } from "../place.ts";
import type { Authority } from "./certificates.ts";
import type { NodePlace } from "./network.ts";
import { OWN_FOLDERS } from "./own-folders.ts";
import { writeRuntime } from "./runtime.ts";

const PAUSE_IMAGE = "registry.local/pause:1";

export interface NodeOptions {
  place: NodePlace;
  programs: string;
  authority: Authority;
  server: string;
  clusterDns: string;
  /** OCI tar files. */
  images: readonly string[];
}

export class Node {
  readonly place: NodePlace;
  readonly #options: NodeOptions;
  readonly #folder: string;
  #keeper: Daemon | null = null;
  #kubelet: Daemon | null = null;

  private constructor(options: NodeOptions) {
    this.#options = options;
    this.place = options.place;
    this.#folder = join(FOLDER, this.place.name);
  }

  static async start(options: NodeOptions): Promise<Node> {
    const node = new Node(options);
    await node.#keep();
    await node.#startContainerd();
    node.#startKubelet();
    return node;
  }

  /** Adds an image to the node's, as a pull would. */
  importImage(file: string): void {
    const { status, stderr } = this.ctr("image", "import", file);
    if (status !== 0) throw new Error(`${file} cannot be imported: ${stderr}`);
  }

  /** Ends the kubelet and starts another one, which registers the node if the API server does not know it. Containers go on. */
  async restartKubelet(): Promise<void> {
    const { pid } = this.#kubelet ?? {};
    if (pid !== undefined) {
      process.kill(pid, "SIGKILL");
      await eventually("the kubelet to end", () => !existsSync(`/proc/${pid}`), { interval: 20 });
    }
    this.#startKubelet();
  }

  /** `ctr` on this node's containerd. */
  ctr(...args: string[]) {
    return spawnSync("nsenter", this.#ctrCommand(args), { encoding: "utf8", timeout: 60_000 });
  }

  /** Where the runtime is: what a process prints goes through pipes that both have to find. */
  #ctrCommand(args: readonly string[]): string[] {
    const enter = [`--mount=/proc/${this.#keeper?.pid}/ns/mnt`, "--wd=/", "--"];
    return [...enter, "ctr", "--address", this.#socket, "--namespace", "k8s.io", ...args];
  }

  /** Starts a command in a container, without the API server, and goes on. */
  spawn(container: string, ...command: string[]): ChildProcess {
    const exec = ["task", "exec", "--exec-id", `exec-${randomBytes(4).toString("hex")}`, container, ...command];
    return spawn("nsenter", this.#ctrCommand(exec), { stdio: ["ignore", "pipe", "pipe"] });
  }

  /** Runs a command in a container, without the API server. @returns its exit status; -1 where it could not be run */
  exec(container: string, ...command: string[]): number {
    const id = `exec-${randomBytes(4).toString("hex")}`;
    return this.ctr("task", "exec", "--exec-id", id, container, ...command).status ?? -1;
  }

  /** What a program says that runs on the node: in its namespaces, outside of any container. */
  run(...command: string[]): string {
    const enter = [`--net=/run/netns/${this.place.netns}`, `--mount=/proc/${this.#keeper?.pid}/ns/mnt`, "--wd=/", "--"];
    return execFileSync("nsenter", [...enter, ...command], { encoding: "utf8" });
  }

  get #socket(): string {
    return join(this.#folder, "containerd.sock");
  }

  /** A process that holds the mount namespace. */
  async #keep(): Promise<void> {
    for (const path of OWN_FOLDERS) {
      mkdirSync(path, { recursive: true });
      mkdirSync(join(this.#folder, path), { recursive: true });
    }
    makeCgroup(`${this.place.name}/system`);
    const binds = OWN_FOLDERS.map((path) => `mount --bind ${join(this.#folder, path)} ${path}`);
    const script = [
      "mount --make-rshared /",
      "mount -t tmpfs -o mode=755 none /run && mkdir /run/netns",
      "mount -t bpf -o mode=700 bpf /sys/fs/bpf",
      ...binds,
      "touch /run/ready",
      "exec sleep infinity",
    ];
    this.#keeper = this.#start("keeper", [
      "unshare",
      "--mount",
      "--propagation",
      "private",
      "sh",
      "-ec",
      script.join("\n"),
    ]);
    const { pid } = this.#keeper;
    const ready = () => spawnSync("test", ["-e", `/proc/${pid}/root/run/ready`]).status === 0;
    await eventually(`the mounts of ${this.place.name}`, ready, { interval: 20, timeout: 10_000 });
  }

  async #startContainerd(): Promise<void> {
    const configuration = join(this.#folder, "containerd.toml");
    writeFileSync(configuration, this.#containerdConfiguration());
    mkdirSync(join(this.#folder, "cni"));
    writeFileSync(join(this.#folder, "cni/10-pods.conflist"), JSON.stringify(this.#cniConfiguration()));
    const daemon = this.#startInside("containerd", ["containerd", "--config", configuration]);
    const ready = () => this.ctr("version").status === 0;
    await eventually(`containerd of ${this.place.name}`, ready, { timeout: 20_000, describe: () => logEnd(daemon) });
    for (const image of this.#options.images) this.importImage(image);
  }

  #startKubelet(): void {
    const { authority, server, programs } = this.#options;
    const { name, address } = this.place;
    const certificate = `kubelet-${name}`;
    const subject = `/O=system:nodes/CN=system:node:${name}`;
    authority.issue({ name: certificate, subject, names: `DNS:${name},IP:${address}` });
    const kubeconfig = authority.kubeconfig(certificate, server, {
      "client-certificate": authority.path(`${certificate}.crt`),
      "client-key": authority.path(`${certificate}.key`),
    });
    writeFileSync(join(this.#folder, "resolv.conf"), "nameserver 10.210.0.1\n");
    const configuration = join(this.#folder, "kubelet.json");
    writeFileSync(configuration, JSON.stringify(this.#kubeletConfiguration(certificate)));
    const identity = [`--hostname-override=${name}`, `--node-ip=${address}`];
    this.#kubelet = this.#startInside("kubelet", [
      join(programs, "kubelet"),
      `--config=${configuration}`,
      `--kubeconfig=${kubeconfig}`,
      ...identity,
      "--root-dir=/var/lib/kubelet",
      `--cert-dir=${join(this.#folder, "pki")}`,
    ]);
  }

  #start(name: string, command: readonly string[], mountsOf?: number): Daemon {
    const { netns } = this.place;
    const cgroup = `${this.place.name}/system`;
    const daemon = { name: `${this.place.name}-${name}`, netns, cgroup, command };
    return startDaemon(mountsOf === undefined ? daemon : { ...daemon, mountsOf });
  }

  #startInside(name: string, command: readonly string[]): Daemon {
    if (this.#keeper === null) throw new Error(`${this.place.name} has no mount namespace`);
    return this.#start(name, command, this.#keeper.pid);
  }

  /** No AppArmor and no lowering of OOM scores: containers within containers (CI) may do neither. */
  #containerdConfiguration(): string {
    const cri = '[plugins."io.containerd.grpc.v1.cri"';
    return `version = 2
root = "${join(this.#folder, "containerd")}"
state = "/run/containerd"
[grpc]
  address = "${this.#socket}"
${cri}]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  ${cri}.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  ${cri}.containerd.runtimes.runc.options]
    BinaryName = "${writeRuntime(this.#folder)}"
  ${cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${join(this.#folder, "cni")}"
`;
  }

  #cniConfiguration() {
    const ipam = {
      type: "host-local",
      ranges: [[{ subnet: this.place.podSubnet }], [{ subnet: this.place.podSubnet6 }]],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
      dataDir: join(this.#folder, "ipam"),
    };
    // Each pod by a route of its own: between two pods of a node too, packets pass where Services' addresses are translated.
    return { cniVersion: "1.0.0", name: "pods", plugins: [{ type: "ptp", ipam }] };
  }

  #kubeletConfiguration(certificate: string) {
    const { authority, clusterDns } = this.#options;
    return {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      address: this.place.address,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: true },
        x509: { clientCAFile: authority.path("ca.crt") },
      },
      authorization: { mode: "Webhook" },
      tlsCertFile: authority.path(`${certificate}.crt`),
      tlsPrivateKeyFile: authority.path(`${certificate}.key`),
      cgroupDriver: "cgroupfs",
      cgroupRoot: `/${NAME}/${this.place.name}`,
      failCgroupV1: false,
      failSwapOn: false,
      containerRuntimeEndpoint: `unix://${this.#socket}`,
      resolvConf: join(this.#folder, "resolv.conf"),
      clusterDNS: [clusterDns],
      clusterDomain: "cluster.local",
      imageGCHighThresholdPercent: 100,
      evictionHard: { "memory.available": "100Mi" },
      // Tests wait for pods: a second is a long time.
      syncFrequency: "10s",
      nodeStatusUpdateFrequency: "4s",
    };
  }
}

/** For errors: what the kubelet of a node has said last. */
export function kubeletLog(place: NodePlace): string {
  return readFileSync(join(FOLDER, `${place.name}-kubelet.log`), "utf8").slice(-3000);
}
