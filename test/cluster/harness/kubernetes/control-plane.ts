/** etcd, API server, controller manager and scheduler, in the first node's network namespace. */
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Daemon, eventually, FOLDER, logEnd, makeCgroup, startDaemon } from "../place.ts";
import type { Program } from "./binaries.ts";
import type { Authority } from "./certificates.ts";
import { API_PORT, KUBERNETES_SERVICE, type NodePlace } from "./network.ts";

const ETCD = "http://127.0.0.1:2379";
const ETCD_DATA = join(FOLDER, "etcd");
const ETCD_BACKUP = join(FOLDER, "etcd-backup");
const ETCD_PEER = "http://127.0.0.1:2380";
const CGROUP = "control-plane";
const KUBECTL_TIMEOUT_MS = 150_000;
const SERVICES = "10.96.0.0/16";
export const ISSUER = "https://kubernetes.default.svc";

export interface ControlPlaneOptions {
  place: NodePlace;
  programs: string;
  authority: Authority;
}

export class ControlPlane {
  readonly server: string;
  /** Of an administrator. */
  readonly kubeconfig: string;
  readonly #options: ControlPlaneOptions;
  #etcd: Daemon | null = null;
  #apiServer: Daemon | null = null;

  private constructor(options: ControlPlaneOptions) {
    this.#options = options;
    const { place, authority } = options;
    this.server = `https://${place.address}:${API_PORT}`;
    const names = `IP:127.0.0.1,IP:${place.address},IP:${KUBERNETES_SERVICE},DNS:localhost,DNS:kubernetes.default.svc`;
    authority.issue({ name: "apiserver", subject: "/CN=kube-apiserver", names });
    authority.issue({
      name: "apiserver-kubelet",
      subject: "/O=system:masters/CN=apiserver-kubelet",
      names: "DNS:apiserver",
    });
    authority.issue({ name: "admin", subject: "/O=system:masters/CN=admin", names: "DNS:admin" });
    this.kubeconfig = authority.kubeconfig("admin", this.server, {
      "client-certificate": authority.path("admin.crt"),
      "client-key": authority.path("admin.key"),
    });
  }

  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const plane = new ControlPlane(options);
    makeCgroup(CGROUP);
    await plane.#startEtcd();
    await plane.startApiServer();
    plane.#startManagers();
    return plane;
  }

  /** Starts the API server, and waits until it is ready. */
  async startApiServer(): Promise<void> {
    const { place, authority } = this.#options;
    this.#apiServer = this.#start("kube-apiserver", [
      `--etcd-servers=${ETCD}`,
      "--bind-address=0.0.0.0",
      `--secure-port=${API_PORT}`,
      `--advertise-address=${place.address}`,
      `--service-cluster-ip-range=${SERVICES}`,
      `--tls-cert-file=${authority.path("apiserver.crt")}`,
      `--tls-private-key-file=${authority.path("apiserver.key")}`,
      `--client-ca-file=${authority.path("ca.crt")}`,
      `--service-account-issuer=${ISSUER}`,
      `--service-account-key-file=${authority.path("sa.pub")}`,
      `--service-account-signing-key-file=${authority.path("sa.key")}`,
      "--authorization-mode=Node,RBAC",
      "--anonymous-auth=false",
      "--allow-privileged=true",
      "--enable-admission-plugins=NodeRestriction",
      `--kubelet-client-certificate=${authority.path("apiserver-kubelet.crt")}`,
      `--kubelet-client-key=${authority.path("apiserver-kubelet.key")}`,
      `--kubelet-certificate-authority=${authority.path("ca.crt")}`,
      "--kubelet-preferred-address-types=InternalIP",
    ]);
    const daemon = this.#apiServer;
    const ready = () => this.kubectlStatus(["get", "--raw", "/readyz"]) === 0;
    await eventually("the API server", ready, { describe: () => logEnd(daemon) });
  }

  /** Ends the API server, as a crash would. */
  stopApiServer(): void {
    if (this.#apiServer !== null) process.kill(this.#apiServer.pid, "SIGKILL");
    this.#apiServer = null;
  }

  /** Path of one of Kubernetes' programs. */
  program(name: Program): string {
    return join(this.#options.programs, name);
  }

  /** Starts what leads Services' addresses to their pods. */
  startServiceProxy(nodes: number): void {
    const program = join(import.meta.dirname, "service-proxy.ts");
    const command = [process.execPath, program, this.kubeconfig, String(nodes)];
    startDaemon({ name: "service-proxy", netns: this.#options.place.netns, cgroup: CGROUP, command });
  }

  /** Of nobody: for requests with a token. */
  anonymousKubeconfig(): string {
    return this.#options.authority.kubeconfig("nobody", this.server, {});
  }

  /** Has etcd forget every version but the newest, so that the next watch from an older one is refused. */
  compact(): void {
    const { revision } = this.#askEtcd("range", { key: "AA==" }).header;
    this.#askEtcd("compaction", { revision, physical: true });
  }

  /** Keeps what etcd has now. */
  async backUp(): Promise<void> {
    await this.#withoutEtcd(() => cpSync(ETCD_DATA, ETCD_BACKUP, { recursive: true, preserveTimestamps: true }));
  }

  /** Gives etcd what it had at the backup: its versions go back, as they do when a snapshot is restored. */
  async restore(): Promise<void> {
    await this.#withoutEtcd(() => {
      rmSync(ETCD_DATA, { recursive: true });
      renameSync(ETCD_BACKUP, ETCD_DATA);
    });
  }

  /** Has so many versions go by, in a key (`/other`) that is none of Kubernetes'. */
  passVersions(count: number): void {
    const url = `${ETCD}/v3/kv/put?[1-${count}]`;
    this.#enter("curl", "-sf", "-o", "/dev/null", "-d", JSON.stringify({ key: "L290aGVy" }), url);
  }

  async #withoutEtcd(change: () => void): Promise<void> {
    this.stopApiServer();
    if (this.#etcd !== null) process.kill(this.#etcd.pid, "SIGKILL");
    await eventually("etcd to end", () => !existsSync(`/proc/${this.#etcd?.pid}`), { interval: 20 });
    change();
    await this.#startEtcd();
    await this.startApiServer();
  }

  #askEtcd(method: string, body: object): { header: { revision: string } } {
    return JSON.parse(this.#enter("curl", "-sf", `${ETCD}/v3/kv/${method}`, "-d", JSON.stringify(body)));
  }

  #enter(...command: string[]): string {
    const enter = [`--net=/run/netns/${this.#options.place.netns}`, "--", ...command];
    return execFileSync("nsenter", enter, { encoding: "utf8" });
  }

  /** Output of kubectl. @throws Error with what it says */
  kubectl(args: readonly string[], input?: string): string {
    return execFileSync("nsenter", this.#kubectlCommand(args), {
      encoding: "utf8",
      stdio: ["pipe", "pipe", "pipe"],
      timeout: KUBECTL_TIMEOUT_MS,
      maxBuffer: 64 * 1024 * 1024,
      ...(input === undefined ? {} : { input }),
    });
  }

  /** Exit status of kubectl; -1 where it does not come to an end. */
  kubectlStatus(args: readonly string[]): number {
    return spawnSync("nsenter", this.#kubectlCommand(args), { timeout: 10_000 }).status ?? -1;
  }

  #kubectlCommand(args: readonly string[]): string[] {
    const { place, programs } = this.#options;
    const own = args.some((arg) => arg.startsWith("--kubeconfig=")) ? [] : [`--kubeconfig=${this.kubeconfig}`];
    const kubectl = [join(programs, "kubectl"), ...own, ...args];
    return [`--net=/run/netns/${place.netns}`, "--", ...kubectl];
  }

  async #startEtcd(): Promise<void> {
    mkdirSync(ETCD_DATA, { mode: 0o700, recursive: true });
    const daemon = startDaemon({
      name: "etcd",
      netns: this.#options.place.netns,
      cgroup: CGROUP,
      command: [
        "etcd",
        `--data-dir=${ETCD_DATA}`,
        `--listen-client-urls=${ETCD}`,
        `--advertise-client-urls=${ETCD}`,
        `--listen-peer-urls=${ETCD_PEER}`,
        `--initial-advertise-peer-urls=${ETCD_PEER}`,
        `--initial-cluster=default=${ETCD_PEER}`,
        // Nothing in here outlives the test.
        "--unsafe-no-fsync",
      ],
      environment: { ETCD_UNSUPPORTED_ARCH: process.arch === "arm64" ? "arm64" : "" },
    });
    this.#etcd = daemon;
    const health = [`--net=/run/netns/${this.#options.place.netns}`, "--", "curl", "-sf", `${ETCD}/health`];
    const ready = () => spawnSync("nsenter", health).status === 0;
    await eventually("etcd", ready, { interval: 50, timeout: 20_000, describe: () => logEnd(daemon) });
  }

  #startManagers(): void {
    const { authority } = this.#options;
    const shared = [`--kubeconfig=${this.kubeconfig}`, "--leader-elect=false", "--bind-address=127.0.0.1"];
    this.#start("kube-controller-manager", [
      ...shared,
      `--service-account-private-key-file=${authority.path("sa.key")}`,
      `--root-ca-file=${authority.path("ca.crt")}`,
      "--use-service-account-credentials=true",
      // A node that is stopped should be noticed within a test.
      "--node-monitor-grace-period=20s",
    ]);
    this.#start("kube-scheduler", shared);
  }

  #start(name: string, args: readonly string[]): Daemon {
    const { place, programs } = this.#options;
    return startDaemon({ name, netns: place.netns, cgroup: CGROUP, command: [join(programs, name), ...args] });
  }
}
