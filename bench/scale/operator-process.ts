/** `portcullis operator`, as a pod has it, but for the container. */
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ControlPlane } from "./control-plane.ts";
import { freePorts } from "./control-plane.ts";
import { SYSTEM, serviceAccountToken } from "./population.ts";
import { ScaleProcess, until } from "./processes.ts";

const PROGRAM = join(import.meta.dirname, "../../bin/portcullis");
/** Puts the service account where a pod has it, for this process alone. */
const IN_POD = `mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io &&
ln -s "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"`;
const READY_MS = 180_000;

export class OperatorProcess {
  readonly #folder: string;
  readonly #command: string[];
  readonly #environment: Readonly<Record<string, string>>;
  readonly #metricsPort: number;
  readonly #probePort: number;
  /** Where agents connect. */
  readonly target: string;
  #process: ScaleProcess | null = null;

  private constructor(
    folder: string,
    account: string,
    plane: ControlPlane,
    [agents = 0, metrics = 0, probes = 0]: number[],
  ) {
    this.#folder = folder;
    this.#environment = {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: new URL(plane.server).port,
      // Without a kubeconfig of whoever runs the benchmark.
      KUBECONFIG: "",
      HOME: folder,
      // What Node takes where the container's limit is the chart's, 1 GiB.
      NODE_OPTIONS: "--max-old-space-size=512",
    };
    this.#metricsPort = metrics;
    this.#probePort = probes;
    this.target = `127.0.0.1:${agents}`;
    this.#command = [
      ...["unshare", "--mount", "sh", "-c", IN_POD, account],
      PROGRAM,
      "operator",
      `--namespace=${SYSTEM}`,
      `--listen-address=${this.target}`,
      `--advertise-address=${this.target}`,
      `--metrics-address=127.0.0.1:${metrics}`,
      `--probe-address=127.0.0.1:${probes}`,
      `--tls-cert=${plane.authority.path("operator.crt")}`,
      `--tls-key=${plane.authority.path("operator.key")}`,
    ];
  }

  /** With its own service account. */
  static async prepare(folder: string, plane: ControlPlane): Promise<OperatorProcess> {
    plane.authority.issue({ name: "operator", subject: "/CN=operator", names: "DNS:localhost" });
    const token = await serviceAccountToken(plane.api, "portcullis-operator", []);
    const account = join(folder, "service-account");
    mkdirSync(account);
    writeFileSync(join(account, "token"), token);
    copyFileSync(plane.authority.path("ca.crt"), join(account, "ca.crt"));
    return new OperatorProcess(folder, account, plane, await freePorts(3));
  }

  get process(): ScaleProcess {
    if (this.#process === null) throw new Error("the operator is not started");
    return this.#process;
  }

  /** Starts it; returns the seconds until it had read and planned everything. */
  async start(): Promise<number> {
    const started = performance.now();
    const process = new ScaleProcess({
      name: "operator",
      folder: this.#folder,
      command: this.#command,
      environment: this.#environment,
    });
    this.#process = process;
    await until("the operator", () => this.#isReady(), { timeout: READY_MS, interval: 50, of: process });
    return (performance.now() - started) / 1000;
  }

  /** Ends it as a rolling update does. */
  async stop(): Promise<void> {
    await this.#process?.end();
    this.#process = null;
  }

  /** Values of its own metrics, labels included in the names. */
  async metrics(): Promise<Map<string, number>> {
    const text = await (await fetch(`http://127.0.0.1:${this.#metricsPort}/metrics`)).text();
    return parseMetrics(text);
  }

  async #isReady(): Promise<boolean> {
    return fetch(`http://127.0.0.1:${this.#probePort}/readyz`).then(
      async (response) => {
        await response.text();
        return response.ok;
      },
      () => false,
    );
  }
}

/** Prometheus's text format: `name{labels} value`. */
export function parseMetrics(text: string, prefix = ""): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#") || !line.startsWith(prefix)) continue;
    const end = line.lastIndexOf(" ");
    values.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return values;
}
