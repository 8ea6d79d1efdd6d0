/** etcd and the API server, on loopback. No other component: nothing but the operator and the benchmark changes objects. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Authority } from "../../test/cluster/harness/kubernetes/certificates.ts";
import { ApiClient } from "./api-client.ts";
import { ScaleProcess, until } from "./processes.ts";

const ETCD_BYTES = 8 * 1024 ** 3;
const READY_MS = 120_000;
const ADMIN = "admin";

export interface Programs {
  etcd: string;
  /** Folder with kube-apiserver and kubectl. */
  kubernetes: string;
}

export class ControlPlane {
  readonly authority: Authority;
  readonly server: string;
  /** Of an administrator, whom the API server lets pass first. */
  readonly api: ApiClient;
  readonly etcd: ScaleProcess;
  readonly apiServer: ScaleProcess;
  readonly #kubectl: string[];

  private constructor(folder: string, programs: Programs, ports: { etcd: number; peer: number; api: number }) {
    this.authority = makeAuthority(folder);
    this.server = `https://127.0.0.1:${ports.api}`;
    this.etcd = startEtcd(folder, programs.etcd, ports);
    this.apiServer = startApiServer(folder, programs.kubernetes, this.authority, ports);
    const [certificate, key] = [this.authority.path(`${ADMIN}.crt`), this.authority.path(`${ADMIN}.key`)];
    this.api = new ApiClient({ port: ports.api, authority: this.authority.path("ca.crt"), certificate, key });
    const credentials = { "client-certificate": certificate, "client-key": key };
    const kubeconfig = this.authority.kubeconfig(ADMIN, this.server, credentials);
    this.#kubectl = [join(programs.kubernetes, "kubectl"), `--kubeconfig=${kubeconfig}`];
  }

  /** Settles when the API server is ready. */
  static async start(folder: string, programs: Programs): Promise<ControlPlane> {
    const [etcd = 0, peer = 0, api = 0] = await freePorts(3);
    const plane = new ControlPlane(folder, programs, { etcd, peer, api });
    await until("the API server", () => plane.api.isReady(), { timeout: READY_MS, interval: 200, of: plane.apiServer });
    return plane;
  }

  /** @throws Error with what kubectl says */
  kubectl(...args: string[]): void {
    const [program = "", ...common] = this.#kubectl;
    execFileSync(program, [...common, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  }

  async end(): Promise<void> {
    this.api.close();
    await this.apiServer.end("SIGKILL");
    await this.etcd.end("SIGKILL");
  }
}

/** Ports that nobody listens on at the moment. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((settle) =>
          server.listen(0, "127.0.0.1", () => settle((server.address() as { port: number }).port)),
        ),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((settle) => server.close(settle))));
  return ports;
}

function makeAuthority(folder: string): Authority {
  const certificates = join(folder, "certificates");
  mkdirSync(certificates);
  const authority = new Authority(certificates);
  const names = "IP:127.0.0.1,DNS:localhost,DNS:kubernetes.default.svc";
  authority.issue({ name: "apiserver", subject: "/CN=kube-apiserver", names });
  authority.issue({ name: ADMIN, subject: `/O=system:masters/CN=${ADMIN}`, names: "DNS:admin" });
  return authority;
}

function startEtcd(folder: string, program: string, ports: { etcd: number; peer: number }): ScaleProcess {
  const data = join(folder, "etcd");
  mkdirSync(data, { mode: 0o700 });
  const [clients, peers] = [`http://127.0.0.1:${ports.etcd}`, `http://127.0.0.1:${ports.peer}`];
  return new ScaleProcess({
    name: "etcd",
    folder,
    command: [
      program,
      `--data-dir=${data}`,
      `--listen-client-urls=${clients}`,
      `--advertise-client-urls=${clients}`,
      `--listen-peer-urls=${peers}`,
      `--initial-advertise-peer-urls=${peers}`,
      `--initial-cluster=default=${peers}`,
      `--quota-backend-bytes=${ETCD_BYTES}`,
      "--log-level=warn",
      // Nothing in here outlives the run.
      "--unsafe-no-fsync",
    ],
  });
}

function startApiServer(
  folder: string,
  programs: string,
  authority: Authority,
  ports: { etcd: number; api: number },
): ScaleProcess {
  return new ScaleProcess({
    name: "kube-apiserver",
    folder,
    command: [
      join(programs, "kube-apiserver"),
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      "--bind-address=127.0.0.1",
      "--advertise-address=127.0.0.1",
      "--endpoint-reconciler-type=none",
      `--secure-port=${ports.api}`,
      "--service-cluster-ip-range=10.96.0.0/16",
      `--tls-cert-file=${authority.path("apiserver.crt")}`,
      `--tls-private-key-file=${authority.path("apiserver.key")}`,
      `--client-ca-file=${authority.path("ca.crt")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${authority.path("sa.pub")}`,
      `--service-account-signing-key-file=${authority.path("sa.key")}`,
      "--authorization-mode=Node,RBAC",
      "--anonymous-auth=false",
      "--allow-privileged=true",
      // Its accounts are made by a controller that does not run.
      "--disable-admission-plugins=ServiceAccount",
    ],
  });
}
